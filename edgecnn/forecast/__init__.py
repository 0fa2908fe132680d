"""Forecast how fast a network would be on a device that is not connected, from published tables and times measured here."""
