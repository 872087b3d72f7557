"""Numbers: counted and bucketed, merged by addition. No clock, no I/O."""
