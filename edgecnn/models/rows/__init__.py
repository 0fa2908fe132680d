"""The catalogue's rows, one file a family. To add an architecture, add a row here."""
