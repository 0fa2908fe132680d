"""The catalogue: networks as rows and typed tables, scaling, and published weights."""
