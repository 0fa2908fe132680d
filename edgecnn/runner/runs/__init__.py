"""A schedule of runs, each a process of its own."""
