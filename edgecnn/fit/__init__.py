"""The most accurate of a few trained networks inside a measured budget: latency tables, predictions, the search, and the front that is raced."""
