"""Several processes that train one network and share every batch of it."""
