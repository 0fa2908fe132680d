"""From stored logits to the report: a class that was lost is named, and gates beyond top-1 are held against what was seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecnn.building.report import report_of
from edgecnn.building.rows import candidate_facts, reported
from edgecnn.planning.candidates import BASELINE
from edgecnn.values.recipe import GateChoice
from edgecnn.values.report import BuildReport
from edgecnn.values.verdict import Verdict
from tests.building.resolutions import INT8
from tests.building.scenes import CLASSES, ELSEWHERE, IMAGES, Staging, a_request

LABELS = np.arange(IMAGES) % CLASSES
LOST_ON_C = "onnxruntime-int8 loses 20.0 pp [14.3, 27.3] at 90 % on class 'c' (100 images), shown after Holm over 10 classes"


@pytest.fixture
def staged(tmp_path: Path) -> Staging:
    """A hundred images of each class; INT8 says 'd' to twenty of 'c', and is otherwise what fp32 is."""
    staged = Staging(tmp_path)
    fill(staged)
    staged.raced("select", {BASELINE.id: 4.0, INT8.id: 2.0})
    return staged


def fill(staged: Staging) -> None:
    for split in ("validation", "test"):
        np.save(staged.execution.artifacts["prepare"].folder / f"{split}.labels.npy", LABELS)
    fp32 = 3 * np.eye(CLASSES, dtype=np.float32)[LABELS]
    int8 = fp32.copy()
    of_c = np.arange(2, IMAGES, CLASSES)
    int8[of_c[:20], 3] = 9
    for name, logits in ((BASELINE.id, fp32), (INT8.id, int8)):
        staged.seen.answering[name] = staged.kit(name)
        staged.logits(name, logits)


def report(staged: Staging, **bounds: dict[str, float]) -> BuildReport:
    request = a_request(staged.folder / "out", device=staged.resolved.device, gates=GateChoice.model_validate(bounds))
    return report_of(staged.seen, request, seconds=1.0)


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
    rows = reported(candidate_facts(staged.seen), staged.seen)
    assert rows[INT8.id].test is None
    assert rows[BASELINE.id].test is not None


def test_a_loss_seen_on_a_stand_in_is_told_as_emulated(tmp_path: Path) -> None:
    staged = Staging(tmp_path, attachment=ELSEWHERE)
    fill(staged)
    assert LOST_ON_C.replace("at 90 %", "at 90 % (emulated)") in report(staged).notices


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
