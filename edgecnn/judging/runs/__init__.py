"""From process runs to figures: latency, energy, memory, and ratios of two kits, as far as noise allows."""
