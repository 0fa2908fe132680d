"""Bundles: manifest, publishing, signing, verifying, opening, predicting and serving; and records of evidence."""
