"""Energy meters, one module for each kind. They measure, and never estimate by a model."""
