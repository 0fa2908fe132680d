"""A history out of a store: series by candidate and machine, breaks where conditions changed, and nothing written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.comparing.history import HistoryRequest, measured_history
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.building import HISTORY_OF_WHAT, NO_HISTORY, NoReport
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.profile import Environment
from tests.building.scenes import HERE
from tests.building.stored_builds import CLASSES, PX, StoredBuild, manifest

FP32, INT8 = "onnxruntime-fp32", "onnxruntime-int8"


@pytest.fixture
def build(tmp_path: Path) -> StoredBuild:
    return StoredBuild(tmp_path)


def on(**conditions: str) -> Environment:
    return Environment(conditions={**HERE.conditions, **conditions}, observed={})


def of(stored: StoredBuild, **asked: Any) -> Any:
    return measured_history(HistoryRequest(**asked), stored.store)


def test_medians_come_by_date_however_they_were_filed(build: StoredBuild) -> None:
    build.raced(INT8, 3.0, observed_at="2026-11-22T09:00:00+00:00")
    build.raced(INT8, 1.0, observed_at="2026-11-20T09:00:00+00:00")
    build.raced(INT8, 2.0, observed_at="2026-11-21T11:00:00+02:00")
    (series,) = of(build).series
    assert [point.figure.estimate for point in series.latency] == [1.0, 2.0, 3.0]
    assert series.latency[1].observed_at == "2026-11-21T09:00:00+00:00"
    assert {point.segment for point in series.latency} == {0}


def test_another_kernel_breaks_the_line_and_is_named_and_so_does_the_way_back(build: StoredBuild) -> None:
    for day, kernel in enumerate(("6.1", "6.1", "6.8", "6.1")):
        build.raced(INT8, 1.0 + day, observed_at=f"2026-11-2{day}T09:00:00+00:00", environment=on(kernel=kernel))
    points = of(build).series[0].latency
    assert [point.segment for point in points] == [0, 0, 1, 2]
    assert [point.changed for point in points] == [(), (), ("kernel: 6.1 → 6.8",), ("kernel: 6.8 → 6.1",)]


def test_another_machine_is_another_series(build: StoredBuild) -> None:
    build.raced(INT8, 1.0, environment=on(machine="m1"))
    build.raced(INT8, 2.0, environment=on(machine="m2"))
    assert [(series.machine_id, len(series.latency)) for series in of(build).series] == [("m1", 1), ("m2", 1)]


def test_a_candidate_goes_on_over_another_kit_which_is_marked(build: StoredBuild, tmp_path: Path) -> None:
    build.raced(INT8, 1.0, observed_at="2026-11-20T09:00:00+00:00")
    kits = build.report.candidates
    same = build.report.build.model_copy(update={"resolution_px": ImageSize.square(PX), "classes": len(CLASSES)})
    report = build.report.model_copy(
        update={"build": same, "candidates": tuple(row.model_copy(update={"evaluated_kit": "f" * 64}) for row in kits)}
    )
    (tmp_path / "report.json").write_text(report.model_dump_json(by_alias=True))
    build.store.profiles.add(
        build.store.profiles.of(build.digest(INT8), "race")[0].profile.model_copy(
            update={"subject": "f" * 64, "observed_at": "2026-11-21T09:00:00+00:00"}
        )
    )
    series = next(each for each in of(build, build=tmp_path).series if each.candidate == INT8)
    assert [point.new_kit for point in series.latency] == [False, True]
    assert series.latency[1].segment == 0
    assert series.kits == (build.digest(INT8), "f" * 64)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, [(PX, len(CLASSES), 2)]),
        ({"resolution_px": 2 * PX}, [(PX, len(CLASSES), 1), (2 * PX, len(CLASSES), 1)]),
        ({"classes": CLASSES[:2]}, [(PX, 2, 1), (PX, len(CLASSES), 1)]),
    ],
)
def test_a_network_of_another_resolution_or_of_other_classes_is_another_series(
    build: StoredBuild, told: dict[str, Any], expected: list[tuple[int, int, int]]
) -> None:
    build.raced(INT8, 1.0)
    other = build.another_kit(INT8, {**manifest(INT8, **told), "since": "another training"})
    build.store.profiles.add(build.store.profiles.of(build.digest(INT8), "race")[0].profile.model_copy(update={"subject": other}))
    assert [
        (each.resolution_px and each.resolution_px.stated, each.classes, len(each.latency)) for each in of(build).series
    ] == expected


def test_accuracy_is_that_of_the_stored_answers_to_the_test_split_alone(build: StoredBuild) -> None:
    build.answered(INT8, 6)
    build.answered(INT8, 2, pixels="9" * 64, observed_at="2026-11-21T09:00:00+00:00")
    points = of(build).series[0].accuracy
    assert [(point.figure.estimate, point.count) for point in points] == [(34 / 40, 40)]


def test_answers_with_a_nan_have_a_reason_and_no_figure(build: StoredBuild, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = np.full((40, 3), np.nan, dtype=np.float32)
    monkeypatch.setattr("tests.building.stored_builds.answers", lambda wrong: broken)
    build.answered(INT8, 0)
    (point,) = of(build).series[0].accuracy
    assert point.figure is None
    assert "nan" in (point.reason or "")


def test_too_few_runs_have_the_reason_in_place_of_a_figure(build: StoredBuild) -> None:
    build.raced(INT8, 1.0, rounds=3)
    (point,) = of(build).series[0].latency
    assert point.figure is None
    assert (point.reason or "").startswith("3 runs")


def test_a_race_for_the_choice_gives_an_estimate_without_a_level(build: StoredBuild) -> None:
    build.raced(INT8, 1.0, purpose="select")
    ((point,),) = (series.latency for series in of(build).series)
    assert (point.figure.estimate, point.figure.confidence) == (1.0, 0.0)


@pytest.mark.parametrize("purpose", ["screen", "soak", "throughput", "end-to-end", "batches", "energy", "trial"])
def test_races_that_are_no_latency_of_one_image_are_left_out(build: StoredBuild, purpose: str) -> None:
    build.raced(INT8, 1.0, purpose=purpose)
    with pytest.raises(EdgecnnError, check=NO_HISTORY.made):
        of(build)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [({}, {FP32, INT8}), ({"candidate": INT8}, {INT8}), ({"arch": "resnet-18", "target": "cpu"}, {FP32, INT8})],
)
def test_names_narrow_what_is_shown(build: StoredBuild, asked: dict[str, str], expected: set[str]) -> None:
    for name in (FP32, INT8):
        build.raced(name, 1.0)
    assert {series.candidate for series in of(build, **asked).series} == expected


@pytest.mark.parametrize("asked", [{"arch": "resnet-34"}, {"target": "jetson-orin-nano"}, {"candidate": "openvino-int8"}])
def test_what_was_never_measured_is_missing_and_what_was_is_named(build: StoredBuild, asked: dict[str, str]) -> None:
    build.raced(INT8, 1.0)
    with pytest.raises(
        EdgecnnError, match="it has measurements of resnet-18 onnxruntime-fp32, resnet-18 onnxruntime-int8", check=NO_HISTORY.made
    ):
        of(build, **asked)


def test_a_build_and_a_name_that_it_says_already_are_refused_and_so_is_a_folder_that_is_none(
    build: StoredBuild, tmp_path: Path
) -> None:
    with pytest.raises(EdgecnnError, match="--arch and --target", check=HISTORY_OF_WHAT.made):
        of(build, build=tmp_path, arch="x", target="y")
    with pytest.raises(NoReport):
        of(build, build=tmp_path)


def test_a_damaged_profile_is_counted_and_the_others_stand(build: StoredBuild) -> None:
    for day in (20, 21):
        build.raced(INT8, 1.0, observed_at=f"2026-11-{day}T09:00:00+00:00")
    newest = build.store.profiles.of(build.digest(INT8), "race")[0]
    newest.file("profile.json").write_text("{")
    found = of(build)
    assert len(found.series[0].latency) == 1
    assert found.notices == ("1 profile cannot be read: edgecnn store verify",)


def test_nothing_in_the_store_is_written(build: StoredBuild) -> None:
    build.raced(INT8, 1.0)
    build.answered(INT8, 6)
    before = {path: path.stat().st_mtime_ns for path in build.store.root.rglob("*")}
    of(build)
    assert {path: path.stat().st_mtime_ns for path in build.store.root.rglob("*")} == before


def test_another_setting_is_another_series_and_answers_have_none(build: StoredBuild) -> None:
    build.raced(INT8, 1.0)
    build.raced(INT8, 0.5, knobs={"threads": "1"})
    found = {series.knobs: [point.figure.estimate for point in series.latency] for series in of(build).series}
    assert found == {None: [1.0], "1 thread": [0.5]}
