"""Dated records of what a real desktop GPU did, as shipped in ``baselines/``."""

from __future__ import annotations

from edgecnn.judging.baseline import BaselineRecord
from edgecnn.resources import resource_folder


def load_baselines() -> tuple[BaselineRecord, ...]:
    """Every shipped record."""
    files = sorted(resource_folder("baselines").glob("*.json"))
    return tuple(BaselineRecord.model_validate_json(path.read_text()) for path in files)
