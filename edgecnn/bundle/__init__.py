"""Bundles: manifest, publishing, signing, verifying, opening and predicting; and records of evidence."""
