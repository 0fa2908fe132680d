"""Values that cross rooms, frozen, with a schema if they are published."""
