"""Two kits in one race, and one kit against itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgecnn.measure.race import SAMPLES, dealt_in_pairs, long_enough_s, race_pair
from edgecnn.store.store import Store
from tests.judging.made import a_run
from tests.measure.labs import FakeHost, a_kit, lab_at


def test_both_run_interleaved_in_one_race(host: FakeHost, store: Store, tmp_path: Path) -> None:
    base, head = a_kit(tmp_path, "base"), a_kit(tmp_path, "head")
    pair = race_pair(base, head, 8, lab_at(host, store))
    assert pair.base is not None and pair.head is not None
    assert (pair.base.subject, pair.head.subject) == (base.digest, head.digest)
    assert pair.base.race == pair.head.race
    assert [run.round for run in pair.head.runs] == list(range(8))
    assert len(pair.head.runs[0].samples_ns) == SAMPLES


def test_a_stored_race_never_serves(host: FakeHost, store: Store, tmp_path: Path) -> None:
    base, head = a_kit(tmp_path, "base"), a_kit(tmp_path, "head")
    for _ in range(2):
        race_pair(base, head, 8, lab_at(host, store))
    assert len(host.ran) == 32


def test_one_kit_on_both_sides_runs_twice_as_often_and_every_run_is_one_side_s(
    host: FakeHost, store: Store, tmp_path: Path
) -> None:
    kit = a_kit(tmp_path, "same")
    pair = race_pair(kit, kit, 8, lab_at(host, store))
    assert pair.base is not None and pair.head is not None
    assert len(host.ran) == 16
    medians = sorted(run.samples_ns[0] for side in (pair.base, pair.head) for run in side.runs)
    assert medians == [1000 + index for index in range(16)]
    assert [run.round for run in pair.head.runs] == list(range(8))


def test_of_two_neighbours_a_coin_says_whose_they_are() -> None:
    runs = tuple(a_run(index, ms=1 + index) for index in range(200))
    first, second = dealt_in_pairs(runs, "seed")
    pairs = [{a.samples_ns[0], b.samples_ns[0]} for a, b in zip(first, second, strict=True)]
    assert pairs == [{runs[2 * k].samples_ns[0], runs[2 * k + 1].samples_ns[0]} for k in range(100)]
    earlier = sum(a.samples_ns[0] < b.samples_ns[0] for a, b in zip(first, second, strict=True))
    assert 30 < earlier < 70
    assert dealt_in_pairs(runs, "seed") == (first, second)
    assert dealt_in_pairs(runs, "another") != (first, second)


@pytest.mark.parametrize("same", [False, True])
def test_a_kit_that_does_not_finish_says_why(host: FakeHost, store: Store, tmp_path: Path, same: bool) -> None:
    base, head = a_kit(tmp_path, "base"), a_kit(tmp_path, "head")
    host.broken[head.digest] = "the model file is damaged"
    pair = race_pair(head if same else base, head, 8, lab_at(host, store))
    assert pair.head is None
    assert pair.failed is not None
    assert "the model file is damaged" in pair.failed


def test_the_runs_are_filed_as_what_they_were(host: FakeHost, store: Store, tmp_path: Path) -> None:
    base, head = a_kit(tmp_path, "base"), a_kit(tmp_path, "head")
    race_pair(base, head, 8, lab_at(host, store))
    (stored,) = store.profiles.of(head.digest, "race")
    assert json.loads((stored.folder / "profile.json").read_text())["purpose"] == "against"


def test_the_run_that_tells_how_long_a_run_must_be_is_filed_as_a_trial(host: FakeHost, store: Store, tmp_path: Path) -> None:
    base, head = a_kit(tmp_path, "base"), a_kit(tmp_path, "head")
    long_enough_s((base, head), lab_at(host, store))
    assert [stored.profile.purpose for kit in (base, head) for stored in store.profiles.of(kit.digest, "race")] == ["trial"] * 2
