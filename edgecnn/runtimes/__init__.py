"""One runtime one or two files: what it supports on a device, how its files are made and checked, how its trace is read."""
