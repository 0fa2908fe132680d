"""The best of a few trained networks inside a measured budget: latency tables, predictions, the search, and the raced front."""
