"""A plan executed: its ladder climbed, its kits raced, one chosen and judged, the report written."""
