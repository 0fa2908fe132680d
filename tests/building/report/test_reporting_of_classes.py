"""From stored logits to the report: a class that was lost is named, and gates beyond top-1 are held against what was seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecnn.building.rows import add_reported_figures, candidate_facts
from edgecnn.planning.candidates import BASELINE
from edgecnn.values.figures import ClassReport, UnitLosses
from edgecnn.values.recipe import GateChoice
from edgecnn.values.report import BuildReport
from edgecnn.values.verdict import Verdict
from tests.building.resolutions import INT8
from tests.building.scenes import CLASSES, ELSEWHERE, IMAGES, Staging, a_report_of, a_request

LABELS = np.arange(IMAGES) % CLASSES
OF_C = np.arange(2, IMAGES, CLASSES)
LOST_ON_C = "onnxruntime-int8 loses 20.0 pp on class 'c' (100 images), significant after Holm correction across 10 classes"


@pytest.fixture
def staged(tmp_path: Path) -> Staging:
    """A hundred images of each class; INT8 says 'd' to twenty of 'c', and is otherwise what fp32 is."""
    staged = Staging(tmp_path)
    fill(staged)
    staged.raced("select", {BASELINE.id: 4.0, INT8.id: 2.0})
    return staged


def fill(staged: Staging, lost: int = 20, others: tuple[str, ...] = ()) -> None:
    for split in ("validation", "test"):
        np.save(staged.execution.artifacts["prepare"].folder / f"{split}.labels.npy", LABELS)
    fp32 = 3 * np.eye(CLASSES, dtype=np.float32)[LABELS]
    int8 = fp32.copy()
    int8[OF_C[:lost], 3] = 9
    for name, logits in ((BASELINE.id, fp32), (INT8.id, int8), *((other, fp32) for other in others)):
        staged.seen.answering[name] = staged.kit(name)
        staged.logits(name, logits)


def report(staged: Staging, **bounds: dict[str, float]) -> BuildReport:
    request = a_request(staged.folder / "out", device=staged.resolved.device, gates=GateChoice.model_validate(bounds))
    return a_report_of(staged, request)


def test_a_class_that_lost_a_fifth_is_named_though_the_average_passes(staged: Staging) -> None:
    said = report(staged, max={"drop_pp": 3.0})
    assert (said.choice.candidate, said.verdict) == (INT8.id, Verdict.PASS)
    assert LOST_ON_C in said.notices


def test_a_gate_on_the_worst_class_fails_where_the_average_passes(staged: Staging) -> None:
    int8 = report(staged, max={"drop_pp": 3.0, "worst_class_drop_pp": 10.0}).candidates[1]
    assert [(gate.gate.metric, gate.verdict) for gate in int8.gates] == [
        ("drop_pp", Verdict.PASS),
        ("worst_class_drop_pp", Verdict.FAIL),
    ]
    assert "'c' with 100 images loses most" in int8.gates[1].reason


def test_every_row_says_what_top_1_does_not(staged: Staging) -> None:
    baseline, int8 = report(staged).candidates
    assert baseline.test is not None
    assert int8.test is not None
    assert baseline.test.quality is not None
    assert int8.test.quality is not None
    assert baseline.test.quality.macro_f1.estimate == 1
    assert baseline.test.quality.agreement is None
    assert int8.test.quality.agreement is not None
    assert int8.test.quality.agreement.estimate == 0.98
    assert int8.test.quality.macro_f1.estimate == pytest.approx((8 + 160 / 180 + 200 / 220) / 10)
    assert [each.name for each in int8.test.quality.classes.classes] == list("abcdefghij")


def test_nothing_beyond_top_1_is_looked_at_on_the_split_that_chooses(staged: Staging) -> None:
    for row in report(staged).candidates:
        assert row.validation is not None
        assert row.validation.quality is None


def test_a_row_that_was_not_evaluated_stays_as_it_is(tmp_path: Path) -> None:
    staged = Staging(tmp_path)
    staged.answered(BASELINE.id, 900)
    rows = add_reported_figures(candidate_facts(staged.seen), staged.seen)
    assert rows[INT8.id].test is None
    assert rows[BASELINE.id].test is not None


def test_a_loss_seen_on_a_stand_in_is_told_as_emulated(tmp_path: Path) -> None:
    staged = Staging(tmp_path, attachment=ELSEWHERE)
    fill(staged)
    assert LOST_ON_C.replace("pp on", "pp (emulated) on") in report(staged).notices


@pytest.mark.parametrize(
    ("bounds", "verdict"),
    [
        ({"min": {"agreement": 0.95}}, Verdict.PASS),
        ({"min": {"agreement": 0.99}}, Verdict.FAIL),
        ({"min": {"macro_f1": 0.98}}, Verdict.UNSURE),
        ({"min": {"top5": 0.99}}, Verdict.PASS),
        ({"max": {"ece": 0.5}}, Verdict.PASS),
        ({"max": {"ece": 0.01}}, Verdict.FAIL),
    ],
)
def test_bounds_beyond_top_1_are_held_against_the_candidate(
    staged: Staging, bounds: dict[str, dict[str, float]], verdict: Verdict
) -> None:
    (gate,) = report(staged, **bounds).candidates[1].gates
    assert gate.verdict is verdict, gate.reason


def test_a_report_with_classes_is_read_back_as_it_was_written(staged: Staging) -> None:
    said = report(staged)
    assert BuildReport.model_validate_json(said.model_dump_json(by_alias=True)) == said


def classes_of(said: BuildReport) -> ClassReport:
    """Of INT8."""
    test = next(row.test for row in said.candidates if row.candidate.id == INT8.id)
    assert test is not None and test.quality is not None
    return test.quality.classes


@pytest.mark.parametrize(("others", "shown"), [(0, ["c"]), (7, [])])
def test_every_candidate_of_a_build_counts_for_a_class_said_to_lose(tmp_path: Path, others: int, shown: list[str]) -> None:
    """Eight images lost and none gained: 10 / 256 over ten classes, 80 / 256 over those of eight candidates."""
    names = [f"onnxruntime-int8-{number}" for number in range(others)]
    staged = Staging(tmp_path, candidates=(BASELINE, INT8, *(INT8.model_copy(update={"id": name}) for name in names)))
    place = np.arange(IMAGES) // CLASSES  # among the images of its class
    fp32, changed = answering(right=place >= 4), answering(right=place < 96)
    int8 = answering(right=np.where(LABELS == 2, (place >= 4) & (place < 92), place < 96))
    for name, logits in ((BASELINE.id, fp32), (INT8.id, int8), *((name, changed) for name in names)):
        staged.seen.answering[name] = staged.kit(name)
        staged.logits(name, logits)
    found = classes_of(report(staged))
    assert (found.candidates, found.compared) == (1 + others, CLASSES)
    assert [each.name for each in found.shown()] == shown


def test_groups_of_the_prepared_images_count_once_for_a_class(staged: Staging) -> None:
    """The twenty lost images of c are of two videos."""
    groups = np.arange(IMAGES)
    groups[OF_C] = IMAGES + np.arange(len(OF_C)) // 10
    np.save(staged.execution.artifacts["prepare"].folder / "test.groups.npy", groups)
    lost = classes_of(report(staged)).classes[2]
    assert lost.units == UnitLosses(kind="group", count=10, lost=2, gained=0) and lost.regression == "not shown"
    assert lost.drop_pp is not None and lost.drop_pp.high > 40 and lost.drop_pp.confidence == 0.9


@pytest.mark.parametrize(("losing", "shown"), [(10, ["c"]), (1, [])])
def test_folds_count_once_for_a_class_and_leave_it_without_an_interval(
    staged: Staging, tmp_path: Path, losing: int, shown: list[str]
) -> None:
    """c loses twenty images in every fold, or in that of the network that ships alone."""
    for number in range(1, 10):
        fold = Staging(tmp_path / str(number))
        fill(fold, lost=20 if number < losing else 0)
        staged.seen.folds.append(fold.seen)
    said = report(staged)
    found = classes_of(said)
    assert [each.name for each in found.shown()] == shown
    assert found.classes[2].units == UnitLosses(kind="fold", count=10, lost=losing, gained=0)
    figures = [figure for each in found.classes for figure in (each.recall, each.drop_pp)]
    assert {figure.confidence for figure in (*figures, found.worst_drop_pp) if figure} == {0.0}
    assert BuildReport.model_validate_json(said.model_dump_json(by_alias=True)) == said


def answering(*, right: np.ndarray) -> np.ndarray:
    """Logits whose first class is the true one where ``right`` says so, else the next."""
    logits: np.ndarray = np.eye(CLASSES, dtype=np.float32)[np.where(right, LABELS, (LABELS + 1) % CLASSES)]
    return logits
