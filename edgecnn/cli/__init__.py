"""The command line: one file a family of verbs; an option declared once; parse, call the library once, show."""
