"""A race is run in rounds of a drawn order, goes on where it stopped, and files what each run gave and which kits failed."""

from __future__ import annotations

import json
import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from edgecnn.measure.kits import KitRef
from edgecnn.measure.race import RaceResult, race
from edgecnn.measure.race_request import RUN_PATIENT_S, RaceRequest
from edgecnn.store.store import Store
from edgecnn.values.verdict import Fidelity
from tests.measure.labs import FakeHost, a_kit, lab_at

ROUNDS = 4


def asked(kits: tuple[KitRef, ...], **changes: Any) -> RaceRequest:
    return RaceRequest(**{"kits": kits, "purpose": "select", "rounds": ROUNDS, "samples": 50, "max_age_h": 24.0, **changes})


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


def test_runs_of_a_time_to_come_are_not_continued(host: FakeHost, store: Store, kits: tuple[KitRef, ...]) -> None:
    interrupted(asked(kits), host, store, after=5)
    host.ran.clear()
    (run, *_) = sorted(store.root.rglob("run-*.json"))
    tomorrow = datetime.now(UTC).timestamp() + 24 * 3600
    os.utime(run, (tomorrow, tomorrow))
    race(asked(kits), lab_at(host, store))
    assert host.ran == list(range(ROUNDS * len(kits)))


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
    changed = "governor was performance then and is powersave now"
    why = f"the machine changed during the race ({changed}); rerun the command to race again"
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
