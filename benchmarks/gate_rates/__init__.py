"""How often gates err, by simulated regressions through the functions that judge builds: ``python -m benchmarks.gate_rates``."""
