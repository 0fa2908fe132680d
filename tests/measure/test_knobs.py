"""One kit in several settings is several entrants of a race, and what ran in one setting never speaks for another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgecnn.errors.measuring import RunsUnusable
from edgecnn.measure.device_runs import profile_of_runs
from edgecnn.measure.kits import KitRef
from edgecnn.measure.race import race, race_pair
from edgecnn.measure.race_request import RaceRequest
from edgecnn.store.store import Store
from edgecnn.values.candidate import DEFAULT, Knobs
from tests.measure.labs import FakeHost, a_kit, lab_at
from tests.measure.test_run_files import bench

ONE, TWO = Knobs(threads=1), Knobs(threads=2)


@pytest.fixture
def kit(tmp_path: Path) -> KitRef:
    return a_kit(tmp_path / "kits", "int8")


def asked(*kits: KitRef, **changes: Any) -> RaceRequest:
    return RaceRequest(**{"kits": kits, "purpose": "knobs", "rounds": 8, "samples": 50, "max_age_h": 24.0, **changes})


def test_settings_of_one_kit_run_interleaved_and_are_filed_apart(host: FakeHost, store: Store, kit: KitRef) -> None:
    one = kit.with_knobs(ONE)
    result = race(asked(kit, one), lab_at(host, store))
    assert set(result.profiles) == {kit.entrant, one.entrant} == {kit.digest, f"{kit.digest}+threads=1"}
    filed = {tuple(stored.profile.knobs.items()): stored.profile for stored in store.profiles.of(kit.digest, "race")}
    assert set(filed) == {(), (("threads", "1"),)}
    runs = [{run.samples_ns[0] for run in profile.runs} for profile in filed.values()]
    assert [len(each) for each in runs] == [8, 8] and not runs[0] & runs[1]
    assert {profile.race for profile in filed.values()} == {result.race}


def test_a_race_of_settings_is_reused_as_any_other(host: FakeHost, store: Store, kit: KitRef) -> None:
    settings = (kit, kit.with_knobs(ONE))
    first = race(asked(*settings), lab_at(host, store))
    assert race(asked(*settings), lab_at(host, store)) == first.model_copy(update={"reused": True})
    assert not race(asked(kit, kit.with_knobs(TWO)), lab_at(host, store)).reused


def test_a_race_with_other_knobs_does_not_serve(host: FakeHost, store: Store, kit: KitRef) -> None:
    race(asked(kit, purpose="report"), lab_at(host, store))
    found = race(asked(kit.with_knobs(ONE), purpose="report"), lab_at(host, store))
    assert not found.reused
    assert [profile.knobs for profile in found.profiles.values()] == [ONE.options]


def test_a_kit_without_knobs_asks_what_it_asked_before_there_were_any(kit: KitRef) -> None:
    assert asked(kit).question["kits"] == [kit.digest]


def test_a_setting_that_fails_leaves_the_others(host: FakeHost, store: Store, kit: KitRef, tmp_path: Path) -> None:
    other = a_kit(tmp_path / "kits", "broken").with_knobs(ONE)
    host.broken[other.digest] = "the runtime refused"
    result = race(asked(kit, kit.with_knobs(ONE), other), lab_at(host, store))
    assert (len(result.profiles), dict(result.failed)) == (2, {other.entrant: "the runtime refused"})


def test_the_same_kit_with_other_knobs_is_no_race_against_itself(host: FakeHost, store: Store, kit: KitRef) -> None:
    pair = race_pair(kit, kit.with_knobs(ONE), 8, lab_at(host, store))
    assert pair.base is not None and pair.head is not None
    assert (pair.base.knobs, pair.head.knobs) == (DEFAULT.options, ONE.options)
    assert len(host.ran) == 16


@pytest.mark.parametrize(
    ("ran", "chosen", "because"),
    [
        ({"threads": "1"}, DEFAULT, "a run of int8 was made with threads=1, but its bundle uses no knobs"),
        ({}, TWO, "a run of int8 was made with no knobs, but its bundle uses threads=2"),
    ],
)
def test_runs_of_a_device_with_other_knobs_than_the_bundle_s_are_refused(
    kit: KitRef, tmp_path: Path, ran: dict[str, str], chosen: Knobs, because: str
) -> None:
    bench(FakeHost(), [kit], tmp_path / "measured", samples=50, knobs=ran)
    with pytest.raises(RunsUnusable) as refused:
        profile_of_runs(tmp_path / "measured", kit.with_knobs(chosen), "raspberry-pi-5")
    assert because in refused.value.line()


def test_runs_of_a_device_in_two_settings_do_not_join(kit: KitRef, tmp_path: Path) -> None:
    bench(FakeHost(), [kit], tmp_path / "measured", samples=50, knobs={"threads": "1"})
    path = tmp_path / "measured/run-00003.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "knobs": {"threads": "2"}}))
    with pytest.raises(RunsUnusable, match="was made with threads=2, but its bundle uses threads=1"):
        profile_of_runs(tmp_path / "measured", kit.with_knobs(ONE), "raspberry-pi-5")


def test_runs_of_a_device_are_filed_with_their_knobs(kit: KitRef, tmp_path: Path) -> None:
    bench(FakeHost(), [kit], tmp_path / "measured", samples=50, knobs={"threads": "1"})
    assert profile_of_runs(tmp_path / "measured", kit.with_knobs(ONE), "raspberry-pi-5").knobs == {"threads": "1"}
