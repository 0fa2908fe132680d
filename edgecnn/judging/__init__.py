"""Statistics and verdicts: intervals, gates and the choice. Pure functions, without files or a clock."""
