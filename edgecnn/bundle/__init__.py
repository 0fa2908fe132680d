"""What ships: its manifest, publishing, signing, verifying, opening, and predicting with it; and records of evidence."""
