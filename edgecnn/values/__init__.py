"""Nouns that cross rooms, frozen, with a schema where they are published."""
