"""A build that is killed, has no disk left or loses power at any moment loses nothing that was finished, and ends in equal bytes.

``EDGECNN_CRASHES`` says how often; ``.ci/run --hard`` kills a hundred times.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from tests.building.builds import Place, place_with_photos
from tests.crash.faults import Fault, lose_power, require_strace, run_traced, somewhere
from tests.training.made import files_of

CRASHES = int(os.environ.get("EDGECNN_CRASHES", "6"))
IN_A_ROW = 5
"""Kills of one build before it may finish."""


class Undisturbed(NamedTuple):
    """A finished build."""

    place: Place
    log: Path
    """Its system calls."""
    seconds: float


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    require_strace()
    place, begun = place_with_photos(tmp_path_factory.mktemp("undisturbed")), time.monotonic()
    ended = run_traced(place, place.command("build"))
    assert ended.status == 0, ended.said
    return Undisturbed(place, ended.log, time.monotonic() - begun)


def made_of(place: Place) -> dict[str, str]:
    """Every file that was made, with its SHA-256; records also hold how long it took, and what was measured differs each time."""
    kits, store = place.out / "bundle" / "kits", place.store / "artifacts"
    found = {f"{folder.name}/{name}": digest for folder in (kits, store) for name, digest in files_of(folder).items()}
    return {name: digest for name, digest in found.items() if not name.endswith("/record.json")}


def check_store(place: Place) -> None:
    """What stands under a final name is whole."""
    done = place.plain("store", "verify")
    assert done.returncode == 0, done.stdout + done.stderr


def check_swept(place: Place) -> None:
    """A day later nothing that a killed build left is kept by ``gc``."""
    for path in place.store.rglob("*"):
        os.utime(path, (time.time() - 90_000,) * 2, follow_symlinks=False)
    done = place.plain("store", "gc", "--days", "1000")
    assert done.returncode == 0, done.stderr
    left = [path for folder in ("work", "trash") for path in (place.store / folder).rglob("*") if path.is_file()]
    assert [path for path in left if path.suffix != ".lock"] == []


@pytest.mark.slow  # many builds
def test_killed_anywhere_again_and_again_it_ends_in_the_same_bytes(
    undisturbed: Undisturbed, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    draw, killed, number = Random(2026), Counter[str](), 0
    while killed.total() < CRASHES:
        place = place_with_photos(tmp_path / str(number))
        number += 1
        for _ in range(min(IN_A_ROW, CRASHES - killed.total())):
            call, when = somewhere(undisturbed.log, draw)
            fault = Fault(call, str(when), "signal=SIGKILL") if draw.random() < 0.6 else None
            command = place.command("build") if draw.random() < 0.9 else [*place.command("x")[:3], "store", "gc", "--days", "0"]
            ended = run_traced(place, command, fault, timeout_s=None if fault else draw.uniform(1, undisturbed.seconds))
            at_work = {path.parent.name for path in (place.store / "work").glob("*/*")} or {"between"}
            if ended.status != 0:
                killed.update([", ".join(sorted(at_work))])
            assert "Traceback" not in ended.said, ended.said
            check_store(place)
        done = place.run("build")
        assert done.returncode == 0, done.stdout + done.stderr
        assert made_of(place) == made_of(undisturbed.place)
        check_store(place)
        check_swept(place)
    where = ", ".join(f"{count} in {what}" for what, count in killed.most_common())
    record_property("figure", f"builds and collections killed with SIGKILL {killed.total()} times, {IN_A_ROW} in a row: {where}")


@pytest.mark.slow  # many builds
@pytest.mark.parametrize("signals", [(signal.SIGTERM,), (signal.SIGINT, signal.SIGINT)])
def test_who_ends_it_twice_or_by_terminating_it_gets_one_line(
    undisturbed: Undisturbed, tmp_path: Path, signals: Sequence[signal.Signals], record_property: Callable[[str, object], None]
) -> None:
    draw, times = Random(len(signals)), max(1, CRASHES // 6)
    named = " and ".join(each.name for each in signals)
    record_property("figure", f"builds ended by {named} {times} times")
    place = place_with_photos(tmp_path)
    for _ in range(times):
        with place.start("build") as process:
            time.sleep(draw.uniform(1, undisturbed.seconds))
            for each in signals:
                os.killpg(process.pid, each)
                time.sleep(draw.uniform(0, 0.3))
            said = "".join(process.communicate(timeout=120))
        assert process.returncode in (0, 130, -signal.SIGTERM, 128 + signal.SIGTERM), said
        assert "Traceback" not in said, said
        check_store(place)
    done = place.run("build")
    assert done.returncode == 0, done.stdout + done.stderr
    assert made_of(place) == made_of(undisturbed.place)


@pytest.mark.slow  # many builds
@pytest.mark.parametrize("reason", ["ENOSPC", "EIO", "EROFS"])
def test_a_disk_that_fails_is_said_in_one_line_and_costs_nothing(
    undisturbed: Undisturbed, tmp_path: Path, reason: str, record_property: Callable[[str, object], None]
) -> None:
    draw, times = Random(reason), max(1, CRASHES // 6)
    calls = ("mkdir", "rename", "unlink") if reason == "EROFS" else ("write", "fsync", "rename", "mkdir")
    place = place_with_photos(tmp_path)
    record_property("figure", f"every {', '.join(calls)} fails with {reason} from one on, {times} times")
    for _ in range(times):
        call, when = somewhere(undisturbed.log, draw, calls)
        ended = run_traced(place, place.command("build"), Fault(call, f"{when}+", f"error={reason}"))
        assert "Traceback" not in ended.said, ended.said
        assert ended.status in (0, 1, 2, 3), ended.said
        check_store(place)
    done = place.run("build")
    assert done.returncode == 0, done.stdout + done.stderr
    assert made_of(place) == made_of(undisturbed.place)


@pytest.mark.slow  # many builds
def test_what_was_not_synced_when_the_power_went_is_made_again(
    undisturbed: Undisturbed, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    draw, lost, times = Random(27), 0, max(1, CRASHES // 6)
    for number in range(times):
        place = place_with_photos(tmp_path / str(number))
        call, when = somewhere(undisturbed.log, draw)
        ended = run_traced(place, place.command("build"), Fault(call, str(when), "signal=SIGKILL"))
        lost += lose_power(ended.log, place.store)
        done = place.run("build")
        assert done.returncode == 0, done.stdout + done.stderr
        assert made_of(place) == made_of(undisturbed.place)
        check_store(place)
    record_property("figure", f"power cut {times} times, with {lost} files that were not synced left empty")
    assert lost, "else nothing was tried"
