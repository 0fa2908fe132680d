"""A stored race serves only while it is fresh and whole, and machine, runtime, competitors and question are the same."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edgecnn.measure.kits import KitRef
from edgecnn.measure.race import race, stored_race
from edgecnn.measure.race_request import RUN_PATIENT_S
from edgecnn.runner.files import sha256_of
from edgecnn.store.store import Store
from tests.measure.labs import FakeHost, a_kit, lab_at
from tests.measure.test_race import ROUNDS, asked


def age(store: Store, by: timedelta) -> None:
    """Make every stored profile as old as this, as if the clock had gone on."""
    for path in store.layout.profiles.glob("*/*/*/profile.json"):
        facts = json.loads(path.read_text())
        then = datetime.fromisoformat(facts["observed_at"]) - by
        text = json.dumps({**facts, "observed_at": then.isoformat(timespec="seconds")})
        facts_path = path.with_name("files.json")
        facts = json.loads(facts_path.read_text())
        path.write_text(text)
        facts["files"]["profile.json"].update(bytes=path.stat().st_size, sha256=sha256_of(path))
        facts_path.write_text(json.dumps(facts))


def test_a_fresh_race_is_reused(host: FakeHost, store: Store, kits: tuple[KitRef, ...]) -> None:
    first = race(asked(kits), lab_at(host, store))
    again = race(asked(kits), lab_at(host, store))
    assert again == first.model_copy(update={"reused": True})
    assert len(host.calls) == 1


@pytest.mark.parametrize(("hours", "calls"), [(1.9, 1), (2.1, 2)])
def test_its_age_decides_whether_a_race_is_reused(
    host: FakeHost, store: Store, kits: tuple[KitRef, ...], hours: float, calls: int
) -> None:
    race(asked(kits), lab_at(host, store))
    age(store, timedelta(hours=hours))
    result = race(asked(kits, max_age_h=2.0), lab_at(host, store))
    assert (len(host.calls), result.reused) == (calls, calls == 1)


def test_a_race_anew_takes_nothing_from_the_store(host: FakeHost, store: Store, kits: tuple[KitRef, ...]) -> None:
    race(asked(kits), lab_at(host, store))
    again = race(asked(kits, max_age_h=0.0), lab_at(host, store))
    assert not again.reused
    assert len(host.ran) == 2 * ROUNDS * len(kits)


def test_of_several_stored_races_the_newest_speaks(host: FakeHost, store: Store, kits: tuple[KitRef, ...]) -> None:
    race(asked(kits), lab_at(host, store))
    age(store, timedelta(hours=1))
    newer = race(asked(kits, max_age_h=0.5), lab_at(host, store))
    assert race(asked(kits), lab_at(host, store)).race == newer.race


def test_another_runtime_version_means_a_new_race(host: FakeHost, store: Store, kits: tuple[KitRef, ...]) -> None:
    race(asked(kits), lab_at(host, store))
    host.versions["onnxruntime"] = "1.32.0"
    assert not race(asked(kits), lab_at(host, store)).reused


def test_another_version_of_a_runtime_that_one_kit_alone_opens_means_a_new_race(
    host: FakeHost, store: Store, tmp_path: Path
) -> None:
    kits = (a_kit(tmp_path, "a"), a_kit(tmp_path, "b", runtime="openvino"))
    race(asked(kits), lab_at(host, store))
    host.versions["openvino"] = "2026.2"
    assert not race(asked(kits), lab_at(host, store)).reused


@pytest.mark.parametrize("name", ["machine", "cores", "governor"])
def test_another_condition_means_a_new_race(host: FakeHost, store: Store, kits: tuple[KitRef, ...], name: str) -> None:
    race(asked(kits), lab_at(host, store))
    host.conditions[name] = "7"
    assert not race(asked(kits), lab_at(host, store)).reused


@pytest.mark.parametrize("change", [{"purpose": "report"}, {"rounds": 5}, {"samples": 51}, {"max_s": RUN_PATIENT_S}])
def test_another_question_means_a_new_race(
    host: FakeHost, store: Store, kits: tuple[KitRef, ...], change: dict[str, Any]
) -> None:
    race(asked(kits), lab_at(host, store))
    assert not race(asked(kits, **change), lab_at(host, store)).reused


def test_other_competitors_mean_a_new_race_since_ratios_are_taken_inside_one(
    host: FakeHost, store: Store, kits: tuple[KitRef, ...]
) -> None:
    race(asked(kits), lab_at(host, store))
    assert not race(asked(kits[:2]), lab_at(host, store)).reused


def test_a_race_of_which_one_kit_lost_its_profile_is_run_again(host: FakeHost, store: Store, kits: tuple[KitRef, ...]) -> None:
    race(asked(kits), lab_at(host, store))
    (lost,) = store.profiles.of(kits[1].digest, "race")
    (lost.folder / "profile.json").unlink()
    assert stored_race(asked(kits), lab_at(host, store)) is None


def test_a_store_that_was_moved_still_answers(host: FakeHost, tmp_path: Path, kits: tuple[KitRef, ...]) -> None:
    race(asked(kits), lab_at(host, Store.open(tmp_path / "one")))
    (tmp_path / "one").rename(tmp_path / "two")
    moved = tuple(kit.model_copy(update={"folder": Path("/elsewhere") / kit.candidate.id}) for kit in kits)
    assert race(asked(moved), lab_at(host, Store.open(tmp_path / "two"))).reused


@pytest.mark.parametrize("ahead", [timedelta(minutes=1), timedelta(days=3650)])
def test_a_race_of_a_time_to_come_is_not_fresh_for_ever(
    host: FakeHost, store: Store, kits: tuple[KitRef, ...], ahead: timedelta
) -> None:
    race(asked(kits), lab_at(host, store))
    age(store, by=-ahead)  # it was filed while the clock was that far ahead
    assert stored_race(asked(kits), lab_at(host, store)) is None
    assert not race(asked(kits), lab_at(host, store)).reused
    assert race(asked(kits), lab_at(host, store)).reused, "what was raced since serves, though the other looks newer"


def test_an_edited_time_in_the_store_is_no_measurement(host: FakeHost, store: Store, kits: tuple[KitRef, ...]) -> None:
    race(asked(kits), lab_at(host, store))
    (stored, *_) = store.profiles.of(kits[0].digest, "race")
    path = stored.folder / "profile.json"
    path.write_text(path.read_text().replace('"samples_ns":[1', '"samples_ns":[2', 1))  # a digit, and not a byte more
    assert store.profiles.of(kits[0].digest, "race") == ()
    assert not race(asked(kits), lab_at(host, store)).reused
