"""What a run shows and leaves behind. Knows numbers and the plan, never the engine."""
