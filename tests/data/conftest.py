from __future__ import annotations

import time
from pathlib import Path

import pytest

from edgecnn.data import files, manifest
from tests.data.folders import fill

LATER_NS = 10_000_000_000
"""Seconds by which the clock is put forward: no program can set a file's ctime back."""


@pytest.fixture(autouse=True)
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read every image long after it was written, without waiting for that."""
    for module in (files, manifest):
        monkeypatch.setattr(module, "now_ns", lambda: time.time_ns() + LATER_NS)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return fill(tmp_path / "photos", {"cat": 12, "dog": 12})


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "store"
