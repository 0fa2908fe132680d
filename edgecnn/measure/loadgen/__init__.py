"""MLPerf LoadGen over a kit's session, beside our own races: the same kit, measured by somebody else's clock and rules."""
