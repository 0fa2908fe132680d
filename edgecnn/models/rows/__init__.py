"""The catalogue's rows, a file a family. A new architecture is a new row here and nothing else."""
