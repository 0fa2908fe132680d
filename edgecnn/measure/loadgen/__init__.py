"""Run MLPerf LoadGen on a kit's session, in addition to our own races, with LoadGen's clock and rules."""
