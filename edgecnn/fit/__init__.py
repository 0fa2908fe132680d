"""The most accurate network inside a measured budget: latency tables, predictions, the search, and the front that is raced."""
