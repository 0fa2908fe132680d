"""Images that come as something else than a folder: an archive, IDX files, a published set, a list in CSV or Parquet."""
