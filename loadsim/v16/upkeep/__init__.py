"""What a charge point does besides charging: firmware, diagnostics and logs, and what it has to say of them."""
