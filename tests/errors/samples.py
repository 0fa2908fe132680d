"""Errors whose text is computed, one for each branch: each becomes a line of ``lines.txt``."""

from __future__ import annotations

from edgecnn.errors.store import disk_full, remote_needs_package, unstable_value

SAMPLES = [
    unstable_value("value.settings.rates[1]", float("nan")),
    disk_full(file="/mnt/a"),
    disk_full(file=None),
    remote_needs_package(url="gs://b", package="gcsfs", extra=None),
    remote_needs_package(url="s3://b", package="s3fs", extra="s3"),
]
