"""A web browser of this machine as the place where a network runs: found, started without a window, and given work over HTTP."""
