"""Failures of boards and other hosts: the way there, processes that run there, leases."""
