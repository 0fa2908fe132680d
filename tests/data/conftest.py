from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.folders import fill


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return fill(tmp_path / "photos", {"cat": 12, "dog": 12})


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "store"
