"""Results for people and other tools: terminal, Markdown, HTML pages, JUnit, experiment trackers. Nothing is measured here."""
