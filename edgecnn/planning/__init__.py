"""A request completed, resolved against this machine, and laid out as steps with keys. Nothing is run."""
