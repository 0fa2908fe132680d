from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.store.remote import Remote
from edgecnn.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


@pytest.fixture
def afar(tmp_path: Path) -> Remote:
    return Remote(str(tmp_path / "afar"))
