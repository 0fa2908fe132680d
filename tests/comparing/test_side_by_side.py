"""Builds side by side: who stands beside whom, what is paired, what changed, and which times share an axis."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from edgecnn.comparing.facts import SideBySide
from edgecnn.comparing.side_by_side import side_by_side
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.building import NoReport, ReportUnreadable
from edgecnn.errors.comparing import BUILD_NAMED_TWICE, NOT_SO_MANY_BUILDS
from edgecnn.judging.metrics import exactly
from edgecnn.store.store import Store
from edgecnn.values.profile import Environment
from edgecnn.values.verdict import Fidelity
from tests.building.builds import Place
from tests.judging.made import a_latency, an_interval
from tests.render.reports import a_build, a_report, a_row

HERE = {"machine": "m1", "cpu": "AMD EPYC", "kernel": "6.1.0", "governor": "performance"}


def a_folder(place: Path, *rows: Any, **changes: Any) -> Path:
    """A finished build of which only report.json is left."""
    place.mkdir()
    known = {"environment": Environment(conditions=HERE, observed={})}
    (place / "report.json").write_text(a_report(*rows, **{**known, **changes}).model_dump_json(by_alias=True))
    return place


def compared(tmp_path: Path, *folders: Path) -> SideBySide:
    return side_by_side(folders, Store.open(tmp_path / "store"))


def test_candidates_are_matched_by_id_and_one_that_a_build_lacks_keeps_its_place(tmp_path: Path) -> None:
    one = a_folder(tmp_path / "one", a_row("onnxruntime-fp32"), a_row("onnxruntime-int8"))
    two = a_folder(tmp_path / "two", a_row("onnxruntime-int8"), a_row("openvino-int8"))
    found = compared(tmp_path, one, two)
    assert [build.label for build in found.builds] == ["A", "B"]
    assert {row.candidate: [facts is not None for facts in row.facts] for row in found.candidates} == {
        "onnxruntime-fp32": [True, False],
        "onnxruntime-int8": [True, True],
        "openvino-int8": [False, True],
    }
    assert [(each.candidate, each.base, each.head) for each in found.paired] == [("onnxruntime-int8", "A", "B")]


def test_without_stored_kits_there_is_no_difference_and_the_reason_names_the_build(tmp_path: Path) -> None:
    found = compared(tmp_path, a_folder(tmp_path / "one"), a_folder(tmp_path / "two", a_row(kit="sha-of-another")))
    assert found.paired[0].drop_pp is None
    assert found.paired[0].absent == f"the store {tmp_path / 'store'} holds no kit of onnxruntime-int8 of B"
    assert found.changed[0].lines == ()
    assert (found.changed[0].unknown or "").startswith("A and B: plan.json ")


def test_times_of_one_machine_in_one_state_share_a_group_and_those_of_another_kernel_do_not(tmp_path: Path) -> None:
    newer = Environment(conditions={**HERE, "kernel": "6.8.0"}, observed={})
    folders = [a_folder(tmp_path / "one"), a_folder(tmp_path / "two"), a_folder(tmp_path / "three", environment=newer)]
    groups = compared(tmp_path, *folders).machines
    assert [(group.labels, group.differs) for group in groups] == [(("A", "B"), ()), (("C",), ("kernel: 6.1.0 → 6.8.0",))]


def test_a_machine_whose_conditions_nobody_recorded_is_never_the_same_as_another(tmp_path: Path) -> None:
    unknown = Environment(conditions={}, observed={})
    folders = [a_folder(tmp_path / name, environment=unknown) for name in ("one", "two")]
    groups = compared(tmp_path, *folders).machines
    assert [(group.labels, group.differs) for group in groups] == [(("A",), ()), (("B",), ("conditions: not recorded",))]


def test_a_build_that_nobody_timed_is_on_no_machine(tmp_path: Path) -> None:
    untimed = a_row(latency=a_latency(None, runs=0, reason="not attached"))
    found = compared(tmp_path, a_folder(tmp_path / "one"), a_folder(tmp_path / "two", untimed))
    assert [group.labels for group in found.machines] == [("A",)]


def test_other_networks_and_one_kit_twice_are_said(tmp_path: Path) -> None:
    folders = [a_folder(tmp_path / "one"), a_folder(tmp_path / "two", build=a_build(arch="resnet-34"))]
    said = compared(tmp_path, *folders).notices
    assert said[0] == "the builds have different networks: A resnet-18, B resnet-34"
    assert said[1].startswith("the same kit, byte for byte: onnxruntime-int8 of A, onnxruntime-int8 of B")


@pytest.mark.parametrize("count", [1, 27])
def test_one_build_and_more_than_there_are_letters_are_refused(tmp_path: Path, count: int) -> None:
    with pytest.raises(EdgecnnError, check=NOT_SO_MANY_BUILDS.made) as refusal:
        compared(tmp_path, *[tmp_path / str(number) for number in range(count)])
    assert refusal.value.fields == {"most": 26, "given": count}


def test_a_build_is_not_compared_with_itself_by_another_path(tmp_path: Path) -> None:
    one = a_folder(tmp_path / "one")
    with pytest.raises(EdgecnnError, check=BUILD_NAMED_TWICE.made):
        compared(tmp_path, one, one / "report.json")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": "edgecnn.report/0"}', "\0\1"])
def test_a_report_of_another_schema_or_none_at_all_is_refused(tmp_path: Path, text: str) -> None:
    one, other = a_folder(tmp_path / "one"), tmp_path / "other"
    other.mkdir()
    with pytest.raises(NoReport):
        compared(tmp_path, one, other)
    (other / "report.json").write_text(text)
    with pytest.raises(ReportUnreadable):
        compared(tmp_path, one, other)


def test_a_real_build_and_one_with_other_settings_are_paired_on_the_same_images(built: Place) -> None:
    copied = built.folder / "copied"
    shutil.copytree(built.out, copied)
    plan = json.loads((copied / "plan.json").read_text())
    plan["resolved"]["recipe"]["train"]["epochs"] = 99
    data = plan["resolved"]["data"]
    data["content"], data["counts"]["train"] = "f" * 64, data["counts"]["train"] + 10
    data["roles"]["train"]["content"] = "e" * 64
    (copied / "plan.json").write_text(json.dumps(plan))
    found = side_by_side([built.out, copied], Store.open(built.store))
    assert [(each.drop_pp, each.lost, each.gained) for each in found.paired] == [(exactly(0.0), 0, 0)] * 2
    assert {each.fidelity for each in found.paired} == {Fidelity.DEFINED}
    epochs, images = found.changed[0].lines
    assert epochs == "recipe train.epochs: 40 → 99" and images.startswith("images: +10 images")
    assert [group.labels for group in found.machines] == [("A", "B")]


def test_the_same_files_on_another_machine_are_paired_image_by_image(built: Place) -> None:
    copied, report = _copied_to_another_machine(built)
    (copied / "report.json").write_text(json.dumps(report))
    found = side_by_side([built.out, copied], Store.open(built.store))
    assert all(each.drop_pp.low < 0 < each.drop_pp.high for each in found.paired if each.drop_pp)
    assert {each.fidelity for each in found.paired} == {Fidelity.MEASURED}


def _copied_to_another_machine(built: Place) -> tuple[Path, dict[str, Any]]:
    copied = built.folder / "copied"
    shutil.copytree(built.out, copied)
    report = json.loads((copied / "report.json").read_text())
    report["environment"]["conditions"]["machine"] = "m2"
    return copied, report


def test_stored_answers_that_are_not_those_of_the_report_give_no_difference(built: Place) -> None:
    copied, report = _copied_to_another_machine(built)
    for row in report["candidates"]:
        row["test"]["top1"]["estimate"] = 0.123
    (copied / "report.json").write_text(json.dumps(report))
    found = side_by_side([built.out, copied], Store.open(built.store))
    assert {each.absent for each in found.paired} == {"the stored predictions of B do not give the accuracy in its report"}


def test_a_latency_is_shown_where_it_was_measured_and_none_is_divided(tmp_path: Path) -> None:
    fast, slow = (a_row(latency=a_latency(an_interval(ms))) for ms in (1.0, 2.0))
    found = compared(tmp_path, a_folder(tmp_path / "one", fast), a_folder(tmp_path / "two", slow))
    figures = [
        facts.latency.p50_ms.estimate for facts in found.candidates[0].facts if facts and facts.latency and facts.latency.p50_ms
    ]
    assert figures == [1.0, 2.0]
    assert "ratio" not in {name for each in (found, *found.machines, *found.paired) for name in type(each).model_fields}
