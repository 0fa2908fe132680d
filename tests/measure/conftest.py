from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.measure.kits import KitRef
from edgecnn.store.store import Store
from tests.measure.labs import FakeHost, a_kit


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


@pytest.fixture
def host() -> FakeHost:
    return FakeHost()


@pytest.fixture
def kits(tmp_path: Path) -> tuple[KitRef, ...]:
    return tuple(a_kit(tmp_path / "kits", name) for name in ("fp32", "fp16", "int8"))
