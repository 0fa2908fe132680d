"""One finished build, made once; tests that change its surroundings work on a copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.building.builds import SAID, Place, place_with_photos


@pytest.fixture(scope="session")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A finished build with its store. Look, do not touch."""
    place = place_with_photos(tmp_path_factory.mktemp("built"))
    done = place.run("build")
    assert done.returncode == 0, done.stderr
    (place.folder / SAID).write_text(done.stderr)
    return place


@pytest.fixture
def built(built_once: Place, tmp_path: Path) -> Place:
    """The same, moved to a folder of this test's own: photographs, store and results, times of change kept."""
    shutil.copytree(built_once.folder, tmp_path / "moved", copy_function=shutil.copy2)
    return Place(tmp_path / "moved")
