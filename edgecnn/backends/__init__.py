"""One file a runtime: what it supports on a device, how it converts, how its trace is read."""
