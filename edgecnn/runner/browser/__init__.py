"""Run networks in a web browser of this machine: find it, start it without a window, and send it work over HTTP."""
