"""What this machine is, and what it does while kits run on it: processors, clocks, memory, throttling, sensors."""
