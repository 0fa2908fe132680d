from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.store.store import Store
from tests.measure.labs import FakeHost


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


@pytest.fixture
def host() -> FakeHost:
    return FakeHost()
