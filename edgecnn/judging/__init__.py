"""Statistics and verdicts: intervals, gates, the choice. Pure: no files, no clock."""
