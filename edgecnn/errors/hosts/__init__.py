"""Failures of boards and other hosts: connections, processes that run there, and leases."""
