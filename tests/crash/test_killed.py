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
from tests.crash.faults import (
    CHANGING,
    OPENING,
    PUBLISHED,
    Call,
    Ended,
    Fault,
    calls_of,
    lose_power,
    nth,
    require_strace,
    run_traced,
)
from tests.training.made import files_of

MOST_IN_A_ROW = 20
GC_CALLS = ("rename", "unlink", "unlinkat", "rmdir")
QUICK = ("--set", "train.epochs=8", "--set", "race.samples=50")
"""A traced process takes three times as long."""
CRASHES, ALL = int(os.environ.get("EDGECNN_CRASHES", "6")), 100
LEAST = 5
"""Of all, at each stage."""
RARER = 0.5
"""Of the kills that are aimed, those aimed at the stage that was met least and not at the next one."""


class Undisturbed(NamedTuple):
    """A finished build."""

    place: Place
    calls: Sequence[Call]
    seconds: float

    @property
    def stages(self) -> Sequence[str]:
        """What is worked on, in the order in which it is finished."""
        ends = {call.at_work_on: at for at, call in enumerate(self.calls) if call.at_work_on}
        return sorted(ends, key=ends.__getitem__)

    def next_stage(self, place: Place) -> str:
        """The first that is not finished there."""
        return next((each for each in self.stages if finished(place, each) < finished(self.place, each)), PUBLISHED)

    def place_at(self, stage: str, draw: Random, names: Sequence[str] = CHANGING) -> int:
        """Of one of the calls with these names at that stage; at any, where it has none."""
        named = [at for at, call in enumerate(self.calls) if call.name in names and call.at_work_on]
        return draw.choice([at for at in named if self.calls[at].at_work_on == stage] or named)

    def done(self, place: Place) -> Sequence[str]:
        """The stages that are finished there."""
        return [stage for stage in self.stages if finished(place, stage) == finished(self.place, stage) > 0]

    def kill(self, stage: str, draw: Random, place: Place) -> Sequence[Fault]:
        """At that stage; a run that goes on in the middle of its work has fewer calls, and is killed soon after the next."""
        later = self.stages[self.stages.index(stage) :][:2]
        until = 1 + max(at for at, call in enumerate(self.calls) if call.at_work_on in later)
        at, done = self.place_at(stage, draw), self.done(place)
        ends = {call.name: until for call in self.calls[until:]} | {self.calls[at].name: at}
        return [Fault(name, str(nth(name, self.calls[:end], done)), "signal=SIGKILL") for name, end in ends.items()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    require_strace()
    place, begun = place_with_photos(tmp_path_factory.mktemp("undisturbed")), time.monotonic()
    ended = run_traced(place, place.command("build", *QUICK))
    assert ended.status == 0, ended.said
    return Undisturbed(place, calls_of(ended.log), time.monotonic() - begun)


def finished(place: Place, stage: str) -> int:
    """How many entries of that kind there are."""
    held = "residency" if stage == "trace" else stage
    return sum(1 for each in (f"artifacts/{stage}/*", f"profiles/*/{held}/*") for _ in place.store.glob(each))


def at_work(killed: Ended) -> str:
    """What a killed build did last: what earlier ones left half done lies there too."""
    named = [call.at_work_on for call in calls_of(killed.log) if call.at_work_on]
    return named[-1] if named else "its beginning"


def age(place: Place) -> None:
    """By a day."""
    for path in place.store.rglob("*"):
        os.utime(path, (time.time() - 90_000,) * 2, follow_symlinks=False)


def gc_command(place: Place) -> list[str]:
    return [*place.command("x")[:3], "store", "gc", "--days", "0"]


def check_ended(place: Place, undisturbed: Undisturbed) -> None:
    """The same command goes on to its end, in the same bytes."""
    done = place.run("build", *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert made_of(place) == made_of(undisturbed.place)


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
    age(place)
    done = place.plain("store", "gc", "--days", "1000")
    assert done.returncode == 0, done.stderr
    left = [path for folder in ("work", "trash") for path in (place.store / folder).rglob("*") if path.is_file()]
    assert [path for path in left if path.suffix != ".lock"] == []


@pytest.mark.slow  # many builds
def test_killed_at_every_stage_it_ends_in_the_same_bytes(
    undisturbed: Undisturbed, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    draw, where, killed, number = Random(2026), Counter[str](), 0, 0
    while killed < CRASHES or (CRASHES >= ALL and min(where[stage] for stage in undisturbed.stages) < LEAST):
        place = place_with_photos(tmp_path / str(number))
        number += 1
        for _ in range(MOST_IN_A_ROW):
            stage = undisturbed.next_stage(place)
            if draw.random() < RARER:
                stage = min(undisturbed.stages[undisturbed.stages.index(stage) :], key=where.__getitem__)
            faults = undisturbed.kill(stage, draw, place)
            by_the_clock = draw.uniform(1, undisturbed.seconds / 5) if draw.random() < 0.2 else None
            ended = run_traced(place, place.command("build", *QUICK), () if by_the_clock else faults, by_the_clock)
            assert ended.status in (0, -signal.SIGKILL), ended.said
            assert "Traceback" not in ended.said, ended.said
            killed += ended.status != 0
            where.update([at_work(ended)] if ended.status != 0 else [])
            check_store(place)
            if ended.status == 0:
                break
        age(place)
        ended = run_traced(place, gc_command(place), [Fault(draw.choice(GC_CALLS), str(draw.randint(1, 7)), "signal=SIGKILL")])
        assert ended.status in (0, -signal.SIGKILL), ended.said
        killed += ended.status != 0
        where["store gc"] += ended.status != 0
        check_store(place)
        check_ended(place, undisturbed)
        said = ", ".join(f"{count} at {what}" for what, count in where.most_common())
        record_property("figure", f"builds and collections killed with SIGKILL {killed} times, many times in a row: {said}")
        check_swept(place)


@pytest.mark.slow  # many builds
@pytest.mark.parametrize("signals", [(signal.SIGTERM,), (signal.SIGINT, signal.SIGINT)])
def test_who_ends_it_twice_or_by_terminating_it_gets_one_line(
    undisturbed: Undisturbed, tmp_path: Path, signals: Sequence[signal.Signals], record_property: Callable[[str, object], None]
) -> None:
    draw, times, disturbed = Random(len(signals)), max(1, CRASHES // 10), 0
    named = " and ".join(each.name for each in signals)
    record_property("figure", f"builds ended by {named} {times} times")
    place = place_with_photos(tmp_path)
    for _ in range(times):
        with place.start("build", *QUICK) as process:
            time.sleep(draw.uniform(1, undisturbed.seconds / 4))
            for each in signals:
                os.killpg(process.pid, each)
                time.sleep(draw.uniform(0, 0.3))
            said = "".join(process.communicate(timeout=120))
        assert process.returncode in (0, 130, -signals[-1], 128 + signal.SIGTERM), said
        assert "Traceback" not in said, said
        disturbed += process.returncode != 0
        if process.returncode > 0:
            told = [line for line in said.splitlines() if line.startswith("edgecnn: interrupted")]
            assert len(told) == 1 or (not told and len(signals) > 1), said  # the second may come before the words
        check_store(place)
    assert disturbed > times / 2, "else little was tried"
    check_ended(place, undisturbed)


@pytest.mark.slow  # many builds
@pytest.mark.parametrize("reason", ["ENOSPC", "EIO", "EROFS"])
def test_a_disk_that_fails_is_said_in_one_line_and_costs_nothing(
    undisturbed: Undisturbed, tmp_path: Path, reason: str, record_property: Callable[[str, object], None]
) -> None:
    draw, times, failed = Random(reason), max(1, CRASHES // 10), 0
    calls = ("mkdir", "rename", "unlink") if reason == "EROFS" else ("write", "fsync", "rename", "mkdir")
    place, stages = place_with_photos(tmp_path), undisturbed.stages
    record_property("figure", f"one of {', '.join(calls)} always fails with {reason} from a call on, {times} times")
    for number in range(times):
        stage = stages[number * len(stages) // times]
        at = undisturbed.place_at(stage, draw, calls)
        name = undisturbed.calls[at].name
        when = nth(name, undisturbed.calls[:at], undisturbed.done(place))
        ended = run_traced(place, place.command("build", *QUICK), [Fault(name, f"{when}+", f"error={reason}")])
        assert "Traceback" not in ended.said, ended.said
        assert ended.status in (0, 2, 3), ended.said
        failed += ended.status != 0
        errors = [line for line in ended.said.splitlines() if line.startswith("edgecnn: error: ")]
        assert len(errors) == (ended.status != 0) or name == "write", ended.said  # which the terminal's go by too
        check_store(place)
    assert failed > times / 2, "else little was tried"
    check_ended(place, undisturbed)


@pytest.mark.slow  # many builds
def test_what_was_not_synced_when_the_power_went_is_made_again(
    undisturbed: Undisturbed, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    draw, lost, times = Random(27), 0, max(1, CRASHES // 10)
    for number in range(times):
        place = place_with_photos(tmp_path / str(number))
        when = draw.uniform(1, undisturbed.seconds)
        ended = run_traced(place, place.command("build", *QUICK), timeout_s=when, calls=(*CHANGING, OPENING))
        lost += lose_power(ended.log, place.folder)
        record_property("figure", f"power cut {number + 1} times, with {lost} files that were not synced left empty")
        check_ended(place, undisturbed)
        check_store(place)
    assert lost, "else nothing was tried"


@pytest.mark.slow  # a build
def test_when_a_build_has_ended_the_power_may_go(undisturbed: Undisturbed, tmp_path: Path) -> None:
    place = place_with_photos(tmp_path)
    ended = run_traced(place, place.command("build", *QUICK), calls=(*CHANGING, OPENING))
    assert ended.status == 0, ended.said
    lose_power(ended.log, place.folder)
    check_store(place)
    verified = place.plain("bundle", "verify", "out")
    assert verified.returncode == 0, verified.stderr
    assert made_of(place) == made_of(undisturbed.place)
