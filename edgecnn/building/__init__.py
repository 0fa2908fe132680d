"""Execute a plan: climb its ladder, race its kits, choose and judge one, and write the report."""
