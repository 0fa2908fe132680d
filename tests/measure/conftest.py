from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.store.store import Store
from tests.measure.labs import FakeHost


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store")


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    """A host whose installed runtimes are those that the lab finds here."""
    host = FakeHost()
    monkeypatch.setattr("edgecnn.measure.lab.installed_version", lambda name: host.versions.get(name))
    return host
