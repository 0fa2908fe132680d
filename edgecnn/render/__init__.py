"""What leaves edgecnn: terminal, Markdown, HTML pages, JUnit, trackers. Facts go in, text comes out; nothing is measured here."""
