"""A race is run once, goes on where it stopped, and serves only while machine, runtime and question are the same."""

from __future__ import annotations

import json
import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edgecnn.measure.kits import KitRef
from edgecnn.measure.race import RaceResult, race, stored_race
from edgecnn.measure.race_request import RUN_PATIENT_S, RaceRequest
from edgecnn.runner.files import sha256_of
from edgecnn.store.store import Store
from edgecnn.values.verdict import Fidelity
from tests.measure.labs import FakeHost, a_kit, lab_at

ROUNDS = 4


@pytest.fixture
def kits(tmp_path: Path) -> tuple[KitRef, ...]:
    return tuple(a_kit(tmp_path / "kits", name) for name in ("fp32", "fp16", "int8"))


def asked(kits: tuple[KitRef, ...], **changes: Any) -> RaceRequest:
    return RaceRequest(**{"kits": kits, "purpose": "select", "rounds": ROUNDS, "samples": 50, "max_age_h": 24.0, **changes})


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


def order_of(host: FakeHost) -> list[tuple[int, int, str]]:
    """Round, position and kit of every item of the last schedule."""
    _, argv = host.calls[-1]
    items = json.loads(Path(argv[argv.index("--schedule") + 1]).read_text())["items"]
    return [(item["round"], item["position"], Path(item["kit"]).name) for item in items]


def interrupted(request: RaceRequest, host: FakeHost, store: Store, after: int) -> None:
    host.stop_after = after
    with pytest.raises(KeyboardInterrupt):
        race(request, lab_at(host, store))
    host.stop_after = None


def test_every_kit_is_filed_with_every_raw_sample_of_its_runs(host: FakeHost, store: Store, kits: tuple[KitRef, ...]) -> None:
    result = race(asked(kits), lab_at(host, store))
    assert (set(result.profiles), dict(result.failed), result.reused) == ({kit.digest for kit in kits}, {}, False)
    for kit in kits:
        (stored,) = store.profiles.of(kit.digest, "race")
        profile = stored.profile
        assert profile == result.profiles[kit.digest]
        assert (profile.device, profile.host, profile.fidelity) == ("cpu", "AMD x86_64 with 2 cores", Fidelity.MEASURED)
        assert (profile.race, profile.purpose) == (result.race, "select")
        assert [run.round for run in profile.runs] == list(range(ROUNDS))
        assert all(len(run.samples_ns) == 50 for run in profile.runs)
    assert len({sample for profile in result.profiles.values() for run in profile.runs for sample in run.samples_ns}) == 12


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


def test_an_interrupted_race_goes_on_where_it_stopped(host: FakeHost, store: Store, kits: tuple[KitRef, ...]) -> None:
    interrupted(asked(kits), host, store, after=5)
    assert store.profiles.of(kits[0].digest, "race") == ()
    result = race(asked(kits), lab_at(host, store))
    assert host.ran == list(range(ROUNDS * len(kits)))
    assert all(len(profile.runs) == ROUNDS for profile in result.profiles.values())


def test_a_run_that_failed_before_the_interruption_is_tried_again(host: FakeHost, store: Store, kits: tuple[KitRef, ...]) -> None:
    host.broken[kits[0].digest] = "out of memory"
    interrupted(asked(kits), host, store, after=5)
    host.broken.clear()
    assert race(asked(kits), lab_at(host, store)).failed == {}


@pytest.mark.parametrize("changed", ["conditions", "versions"])
def test_an_interrupted_race_starts_anew_after_conditions_changed(
    host: FakeHost, store: Store, kits: tuple[KitRef, ...], changed: str
) -> None:
    interrupted(asked(kits), host, store, after=5)
    host.ran.clear()
    if changed == "conditions":
        host.conditions["governor"] = "powersave"
    else:
        host.versions["onnxruntime"] = "1.32.0"
    race(asked(kits), lab_at(host, store))
    assert host.ran == list(range(ROUNDS * len(kits)))


def test_an_interrupted_race_starts_anew_when_its_schedule_differs(
    host: FakeHost, store: Store, kits: tuple[KitRef, ...], tmp_path: Path
) -> None:
    interrupted(asked(kits), host, store, after=5)
    host.ran.clear()
    (tmp_path / "kits").rename(tmp_path / "moved")
    moved = tuple(kit.model_copy(update={"folder": tmp_path / "moved" / kit.folder.name}) for kit in kits)
    race(asked(moved), lab_at(host, store))
    assert host.ran == list(range(ROUNDS * len(kits)))


def test_an_interrupted_race_starts_anew_once_its_runs_are_too_old(
    host: FakeHost, store: Store, kits: tuple[KitRef, ...]
) -> None:
    interrupted(asked(kits), host, store, after=5)
    host.ran.clear()
    (run, *_) = sorted(store.root.rglob("run-*.json"))
    yesterday = datetime.now(UTC).timestamp() - 25 * 3600
    os.utime(run, (yesterday, yesterday))
    race(asked(kits), lab_at(host, store))
    assert host.ran == list(range(ROUNDS * len(kits)))


@pytest.mark.parametrize("ahead", [timedelta(minutes=1), timedelta(days=3650)])
def test_a_race_of_a_time_to_come_is_not_fresh_for_ever(
    host: FakeHost, store: Store, kits: tuple[KitRef, ...], ahead: timedelta
) -> None:
    race(asked(kits), lab_at(host, store))
    age(store, by=-ahead)  # it was filed while the clock was that far ahead
    assert stored_race(asked(kits), lab_at(host, store)) is None
    assert not race(asked(kits), lab_at(host, store)).reused
    assert race(asked(kits), lab_at(host, store)).reused, "what was raced since serves, though the other looks newer"


def test_runs_of_a_time_to_come_are_not_continued(host: FakeHost, store: Store, kits: tuple[KitRef, ...]) -> None:
    interrupted(asked(kits), host, store, after=5)
    host.ran.clear()
    (run, *_) = sorted(store.root.rglob("run-*.json"))
    tomorrow = datetime.now(UTC).timestamp() + 24 * 3600
    os.utime(run, (tomorrow, tomorrow))
    race(asked(kits), lab_at(host, store))
    assert host.ran == list(range(ROUNDS * len(kits)))


def test_an_edited_time_in_the_store_is_no_measurement(host: FakeHost, store: Store, kits: tuple[KitRef, ...]) -> None:
    race(asked(kits), lab_at(host, store))
    (stored, *_) = store.profiles.of(kits[0].digest, "race")
    path = stored.folder / "profile.json"
    path.write_text(path.read_text().replace('"samples_ns":[1', '"samples_ns":[2', 1))  # a digit, and not a byte more
    assert store.profiles.of(kits[0].digest, "race") == ()
    assert not race(asked(kits), lab_at(host, store)).reused


def test_a_machine_that_changed_on_the_way_is_said_and_raced_again(
    host: FakeHost, store: Store, kits: tuple[KitRef, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    half = ROUNDS * len(kits) // 2
    plain = host.environment_of

    def half_way(kit: Path) -> dict[str, dict[str, str]]:
        now = plain(kit)
        return now if len(host.ran) <= half else {**now, "conditions": {**now["conditions"], "governor": "powersave"}}

    with monkeypatch.context() as patched:
        patched.setattr(host, "environment_of", half_way)
        result = race(asked(kits), lab_at(host, store))
    why = "the machine changed during the race (governor: then performance, now powersave); the same command races again"
    assert dict(result.failed) == {kit.digest: why for kit in kits}
    again = race(asked(kits), lab_at(host, store))
    assert (again.reused, dict(again.failed)) == (False, {}), "it was the machine's doing, and no kit's"


def test_a_finished_race_leaves_no_work_behind(host: FakeHost, store: Store, kits: tuple[KitRef, ...]) -> None:
    race(asked(kits), lab_at(host, store))
    assert list(store.root.rglob("run-*.json")) == []


def test_a_kit_that_fails_is_filed_as_such_and_does_not_make_the_others_race_again(
    host: FakeHost, store: Store, kits: tuple[KitRef, ...]
) -> None:
    host.broken[kits[1].digest] = "no such operator"
    results = [race(asked(kits), lab_at(host, store)) for _ in range(2)]
    for result in results:
        assert set(result.profiles) == {kits[0].digest, kits[2].digest}
        assert result.failed == {kits[1].digest: "no such operator"}
    assert [result.reused for result in results] == [False, True]
    (stored,) = store.profiles.of(kits[1].digest, "race")
    assert (stored.profile.failure, stored.profile.runs) == ("no such operator", ())


def test_a_failure_under_another_runtime_version_is_no_failure_of_this_one(
    host: FakeHost, store: Store, kits: tuple[KitRef, ...]
) -> None:
    host.broken[kits[1].digest] = "no such operator"
    race(asked(kits), lab_at(host, store))
    host.broken.clear()
    host.versions["onnxruntime"] = "1.32.0"
    assert race(asked(kits), lab_at(host, store)).failed == {}


def test_a_kit_of_which_no_run_was_recorded_has_failed(host: FakeHost, store: Store, kits: tuple[KitRef, ...]) -> None:
    host.silent.add(kits[2].digest)
    assert race(asked(kits), lab_at(host, store)).failed == {kits[2].digest: "no run of it was recorded"}


def test_where_every_kit_fails_the_result_has_no_profiles(host: FakeHost, store: Store, kits: tuple[KitRef, ...]) -> None:
    host.broken.update({kit.digest: f"{kit.candidate.id} broke" for kit in kits})
    for reused in (False, True):
        result = race(asked(kits), lab_at(host, store))
        assert isinstance(result, RaceResult)
        assert (dict(result.profiles), result.reused) == ({}, reused)
        assert result.failed == {kit.digest: f"{kit.candidate.id} broke" for kit in kits}


def test_each_kit_runs_once_a_round_in_an_order_that_is_drawn_anew(
    host: FakeHost, store: Store, kits: tuple[KitRef, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    request = asked(kits, rounds=24)
    interrupted(request, host, store, after=0)
    order = order_of(host)
    rounds = [[name for number, _, name in order if number == each] for each in range(24)]
    assert all(Counter(names) == Counter(kit.candidate.id for kit in kits) for names in rounds)
    assert [position for _, position, _ in order] == [0, 1, 2] * 24
    assert len({tuple(names) for names in rounds}) == 6, "every order of three turns up in 24 rounds"


def test_the_same_question_gives_the_same_schedule_whatever_order_the_kits_were_given_in(
    host: FakeHost, store: Store, kits: tuple[KitRef, ...]
) -> None:
    interrupted(asked(kits), host, store, after=5)
    first = order_of(host)
    host.stop_after = 0
    with pytest.raises(KeyboardInterrupt):
        race(asked(kits[::-1]), lab_at(host, store))
    assert order_of(host) == first
    host.stop_after = None
    race(asked(kits[::-1]), lab_at(host, store))
    assert host.ran == list(range(ROUNDS * len(kits)))
    assert race(asked((kits[1], kits[2], kits[0])), lab_at(host, store)).reused


def test_what_else_the_machine_did_is_the_median_over_runs(host: FakeHost, store: Store, tmp_path: Path) -> None:
    kit = a_kit(tmp_path, "alone")
    host.others_percent = ["1.0", "90.0", "3.0", "2.0"]
    result = race(asked((kit,)), lab_at(host, store))
    assert result.profiles[kit.digest].environment.observed == {"load_1min": "0.5", "others_percent": "2.5"}


def test_a_patient_race_waits_longer_for_a_process_than_a_hasty_one(kits: tuple[KitRef, ...]) -> None:
    assert asked(kits).timeout_s == 65.0
    assert asked(kits, max_s=RUN_PATIENT_S).timeout_s == 120.0


def test_what_each_process_held_of_memory_is_filed_with_its_run(host: FakeHost, store: Store, tmp_path: Path) -> None:
    kit = a_kit(tmp_path, "alone")
    runs = race(asked((kit,)), lab_at(host, store)).profiles[kit.digest].runs
    assert [run.memory.peak_mib for run in runs if run.memory] == [80.0 + index for index in range(ROUNDS)]
