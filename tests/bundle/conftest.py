"""One real bundle for all, and a copy for whoever spoils it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bundle.sealed import copied, published, zipped


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published bundle that nobody changes."""
    return published(tmp_path_factory.mktemp("bundles") / "flowers")


@pytest.fixture
def bundle(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, to be spoilt."""
    return copied(whole, tmp_path / "bundle")


@pytest.fixture
def archive(whole: Path, tmp_path: Path) -> Path:
    """Its zip, to be spoilt."""
    return zipped(whole, tmp_path / "flowers.zip")
