"""One finished build, made once a run; tests that change its surroundings work on a copy."""

from __future__ import annotations

import gc
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from edgecnn.training.settings import sleeping_threads
from tests import made_once
from tests.building.builds import SAID, Place, place_with_photos

FIRST = "building/test_build.py"
"""Makes the build that others look at: one process begins with it, and the others with rooms that need none."""
LONG = ("stages", "conformance", "training", "building", "house", "bench", "comparing", "quantization", "planning")
"""Where networks are trained, built and raced; these rooms begin, so that no process ends with a long file alone."""
THREADS_SLEEP = sleeping_threads()
"""While tests are collected, from the first file on: threads of torch that spin would starve the other processes of a run."""
THREADS_SLEEP.__enter__()


def pytest_configure(config: pytest.Config) -> None:
    gc.disable()  # while tests are collected, which makes objects that stay
    shared = getattr(config, "workerinput", {}).get("made_once")
    made_once.begin(shared and Path(shared))
    os.environ["XDG_CONFIG_HOME"] = str(made_once.run_folder() / "no-devices-of-who-runs-this")
    if not hasattr(config, "workerinput") and config.getoption("dist", "no") != "no":
        THREADS_SLEEP.__exit__(None, None, None)  # the processes that collect ask for it themselves


def pytest_collection_finish() -> None:
    """The tests have imported torch: what they start may inherit nothing, and no search for garbage walks through it again."""
    THREADS_SLEEP.__exit__(None, None, None)
    gc.freeze()
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell each process of pytest-xdist where the others look."""
    node.workerinput["made_once"] = str(made_once.run_folder())


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    if item.path.as_posix().endswith(FIRST):
        return -1
    room = item.path.relative_to(Path(__file__).parent).parts[0]
    return LONG.index(room) if room in LONG else len(LONG)


def pytest_unconfigure(config: pytest.Config) -> None:
    gc.unfreeze()
    if not hasattr(config, "workerinput"):
        made_once.end()


@pytest.fixture(scope="session")
def built_once() -> Place:
    """A finished build with its store. Look, do not touch."""
    return Place(made_once.made_once("built", _build))


@pytest.fixture
def built(built_once: Place, tmp_path: Path) -> Place:
    """The same, moved to a folder of this test's own: photographs, store and results, times of change kept."""
    shutil.copytree(_untouched(built_once), tmp_path / "moved", copy_function=shutil.copy2)
    return Place(tmp_path / "moved")


def _build(folder: Path) -> None:
    place = place_with_photos(folder)
    done = place.run("build")
    assert done.returncode == 0, done.stderr
    (folder / SAID).write_text(done.stderr)
    shutil.copytree(folder, _untouched(place), copy_function=shutil.copy2)


def _untouched(place: Place) -> Path:
    """Its state when it was finished, which no test reads meanwhile."""
    return place.folder.with_name(f"{place.folder.name}-untouched")
