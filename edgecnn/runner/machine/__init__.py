"""Facts of this machine and readings while kits run: processors, clocks, memory, throttling, sensors."""
