"""The catalogue: networks as rows and typed tables, scaling, published weights."""
