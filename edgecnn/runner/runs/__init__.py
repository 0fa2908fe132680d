"""A schedule of runs, each in a separate process."""
