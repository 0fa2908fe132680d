"""A race goes on in blocks until p50 is known well enough or the cap is reached, and resumes in the block where it stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgecnn.judging.stopping import INTERIM_RUNS, rule_of
from edgecnn.measure.kits import KitRef
from edgecnn.measure.race import race
from edgecnn.measure.race_request import RaceRequest
from edgecnn.store.store import Store
from tests.measure.labs import FakeHost, a_kit, lab_at
from tests.store.toys import Ear


@pytest.fixture
def kits(tmp_path: Path) -> tuple[KitRef, ...]:
    return tuple(a_kit(tmp_path / "kits", name) for name in ("fp32", "int8"))


def asked(kits: tuple[KitRef, ...], half_width: float = 0.02, **changes: Any) -> RaceRequest:
    known = {"kits": kits, "purpose": "report", "rounds": INTERIM_RUNS[-1], "samples": 50, "max_age_h": 24.0}
    return RaceRequest(**{**known, "until": rule_of(half_width), **changes})


def noisy(index: int) -> int:
    """A tenth up and down, run by run."""
    return 1000 + 100 * (index % 2)


def in_no_order(index: int) -> int:
    """Within a hundredth, and no run like the one before it."""
    return 1000 + (7 * (index // 2)) % 10


def rounds_of(host: FakeHost, store: Store, request: RaceRequest) -> set[int]:
    return {len(profile.runs) for profile in race(request, lab_at(host, store)).profiles.values()}


def test_a_quiet_machine_stops_at_the_first_look(host: FakeHost, store: Store, kits: tuple[KitRef, ...]) -> None:
    host.sample_ns = in_no_order
    assert rounds_of(host, store, asked(kits)) == {INTERIM_RUNS[0]}
    assert len(host.calls) == 1


def test_a_noisy_one_goes_on_to_the_cap_and_says_on_the_way_how_well_it_knows(
    host: FakeHost, store: Store, kits: tuple[KitRef, ...]
) -> None:
    host.sample_ns = noisy
    ear = Ear()
    result = race(asked(kits), lab_at(host, store, ear))
    assert {len(profile.runs) for profile in result.profiles.values()} == {INTERIM_RUNS[-1]}
    assert len(host.calls) == len(INTERIM_RUNS)
    assert [note.split(" rounds ")[0] for note in ear.notes] == [f"after {look}" for look in INTERIM_RUNS[:-1]]
    assert "the target is ± 2 %, so the race continues" in ear.notes[0]


def test_it_stops_at_the_first_look_that_is_good_enough(host: FakeHost, store: Store, kits: tuple[KitRef, ...]) -> None:
    host.sample_ns = lambda index: 2000 if index // 2 in (0, 7, 12, 17) else 1000
    """Four slow runs of each kit, of which an interval of 20 rounds must hold one, and one of 28 need not."""
    assert rounds_of(host, store, asked(kits)) == {INTERIM_RUNS[1]}


def test_the_rounds_of_all_blocks_are_one_race_in_one_order(host: FakeHost, store: Store, kits: tuple[KitRef, ...]) -> None:
    host.sample_ns = noisy
    for profile in race(asked(kits), lab_at(host, store)).profiles.values():
        assert [run.round for run in profile.runs] == list(range(INTERIM_RUNS[-1]))
        assert profile.until == rule_of(0.02)


def test_another_target_is_another_question_and_the_same_one_is_answered_from_the_store(
    host: FakeHost, store: Store, kits: tuple[KitRef, ...]
) -> None:
    first = race(asked(kits), lab_at(host, store))
    assert race(asked(kits), lab_at(host, store)).reused
    assert not race(asked(kits, 0.03), lab_at(host, store)).reused
    assert not race(asked(kits, until=None), lab_at(host, store)).reused
    assert first.race != race(asked(kits, 0.03), lab_at(host, store)).race


def test_an_interrupted_race_goes_on_in_the_block_where_it_stopped(
    host: FakeHost, store: Store, kits: tuple[KitRef, ...]
) -> None:
    host.sample_ns = noisy
    host.stop_after = 2 * INTERIM_RUNS[0] + 3
    with pytest.raises(KeyboardInterrupt):
        race(asked(kits), lab_at(host, store))
    host.stop_after = None
    assert rounds_of(host, store, asked(kits)) == {INTERIM_RUNS[-1]}
    assert len(host.ran) == 2 * INTERIM_RUNS[-1], "no run twice"
    assert list(store.root.rglob("run-*.json")) == []


def test_an_interrupted_race_of_another_machine_is_not_continued(host: FakeHost, store: Store, kits: tuple[KitRef, ...]) -> None:
    host.sample_ns = noisy
    host.stop_after = 2 * INTERIM_RUNS[0] + 3
    with pytest.raises(KeyboardInterrupt):
        race(asked(kits), lab_at(host, store))
    host.stop_after, host.conditions["governor"] = None, "powersave"
    host.ran.clear()
    assert rounds_of(host, store, asked(kits)) == {INTERIM_RUNS[-1]}
    assert len(host.ran) == 2 * INTERIM_RUNS[-1]


def test_a_kit_that_broke_asks_for_no_more_rounds(host: FakeHost, store: Store, kits: tuple[KitRef, ...]) -> None:
    host.broken[kits[1].digest] = "out of memory"
    host.sample_ns = in_no_order
    result = race(asked(kits), lab_at(host, store))
    assert dict(result.failed) == {kits[1].digest: "out of memory"}
    assert {len(profile.runs) for profile in result.profiles.values()} == {INTERIM_RUNS[0]}
