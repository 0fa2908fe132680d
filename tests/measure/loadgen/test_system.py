from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgecnn.measure.loadgen.worker import Samples, System
from edgecnn.runner.kit import Kit
from tests.runner.kits import make_kit

BREAKS = """
import sys
from pathlib import Path
from types import SimpleNamespace
from edgecnn.measure.loadgen.worker import Samples, System
from edgecnn.runner.kit import Kit

class Broken:
    def run(self, feed):
        raise RuntimeError("the runtime fell over")

samples = Samples(Kit.open(Path(sys.argv[1])))
with System(Broken(), samples, 1, None).queued() as take:
    take([SimpleNamespace(id=1, index=0)])
    import time
    time.sleep(60)
"""


class Ledger:
    """Stands where LoadGen's library does, and remembers what it was told is done."""

    def __init__(self) -> None:
        self.done: list[list[int]] = []

    def QuerySampleResponse(self, number: int, data: int, size: int) -> int:  # noqa: N802 - LoadGen's name
        return number

    def QuerySamplesComplete(self, numbers: list[int]) -> None:  # noqa: N802 - LoadGen's name
        self.done.append(numbers)


class Recorder:
    """A session that remembers what it was fed."""

    def __init__(self) -> None:
        self.fed: list[Any] = []

    def run(self, feed: dict[str, Any]) -> dict[str, Any]:
        self.fed.append(feed["image"])
        return {}


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_kit(tmp_path_factory.mktemp("kits"))


def query(count: int) -> list[Any]:
    return [SimpleNamespace(id=100 + number, index=number % 2) for number in range(count)]


def answered(kit: Path, batch: int, count: int) -> tuple[Recorder, Ledger]:
    session, ledger = Recorder(), Ledger()
    System(session, Samples(Kit.open(kit)), batch, ledger).answer(query(count))  # type: ignore[arg-type]
    return session, ledger


def test_every_image_of_a_query_is_answered_once_and_in_batches_of_one_size(kit: Path) -> None:
    session, ledger = answered(kit, batch=4, count=10)
    assert [len(fed) for fed in session.fed] == [4, 4, 4]
    assert ledger.done == [[100, 101, 102, 103], [104, 105, 106, 107], [108, 109]]


def test_each_number_gets_the_picture_that_loadgen_chose(kit: Path) -> None:
    session, _ = answered(kit, batch=1, count=3)
    first, second, third = session.fed
    assert np.array_equal(first, third) and not np.array_equal(first, second)
    batched, _ = answered(kit, batch=3, count=3)
    assert np.array_equal(batched.fed[0], np.concatenate([first, second, third]))


def test_servers_queries_are_answered_elsewhere_while_the_next_ones_arrive(kit: Path) -> None:
    session, ledger = Recorder(), Ledger()
    with System(session, Samples(Kit.open(kit)), 1, ledger).queued() as take:  # type: ignore[arg-type]
        take(query(1))
        take(query(2))
    assert ledger.done == [[100], [100], [101]]


def test_a_runtime_that_fails_ends_the_process_instead_of_leaving_loadgen_waiting(kit: Path) -> None:
    done = subprocess.run([sys.executable, "-c", BREAKS, str(kit)], capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "RuntimeError: the runtime fell over"
