"""A file that came quantized is packaged and measured as it is; whatever would need its float network says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.building.build import plan_build
from edgecnn.cli.asking import BuildOptions, request_from
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.custom_model import QUANTIZED_ELSEWHERE
from edgecnn.judging.choice import ChoiceRules, choose
from edgecnn.judging.gates import judge
from edgecnn.render.progress import Quiet
from edgecnn.store.store import Store
from edgecnn.values.candidate import BASELINE_ID, ORIGINAL_ID, Candidate, Method, Precision, Runtime, reference_of
from edgecnn.values.reason import Taken
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Gate, Verdict
from tests.graph.custom_files import photo_folder, quantized
from tests.judging.made import a_candidate, an_accuracy

ORIGINAL = Candidate(id=ORIGINAL_ID, runtime=Runtime.ONNXRUNTIME, precision=Precision.INT8, method=Method.ORIGINAL)
ALONE = an_accuracy().model_copy(update={"drop_pp": None, "lost": None, "gained": None})
FACTS = CandidateFacts(candidate=ORIGINAL, test=ALONE, validation=ALONE, kit="k")


def test_one_candidate_is_planned_and_each_other_says_why_it_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    path, photos = str(quantized(tmp_path, "QOperator")), str(photo_folder(tmp_path / "photos"))
    asked = BuildOptions(onnx=path, data=photos, target="intel-cpu", verb="plan")
    planned = plan_build(request_from(asked, "judge"), Store.open(), Quiet()).plan
    assert [candidate.id for rung in planned.rungs for candidate in rung.candidates] == [ORIGINAL_ID]
    assert {step.id.partition(":")[0] for step in planned.steps} == {"prepare", "export", "quantize", "package"}
    why = {name: lacking.why for name, lacking in planned.resolved.unavailable.items()}
    assert why["openvino-int8"] == why[BASELINE_ID] and "(QOperator)" in why[BASELINE_ID]
    elsewhere = BuildOptions(onnx=path, data=photos, target="intel-cpu:openvino", verb="plan")
    with pytest.raises(EdgecnnError, check=QUANTIZED_ELSEWHERE.made) as caught:
        plan_build(request_from(elsewhere, "judge"), Store.open(), Quiet())
    assert caught.value.ref == "quantized-elsewhere"


def test_it_ships_since_there_is_nothing_else_and_a_drop_from_nothing_is_missing() -> None:
    chosen = choose((FACTS,), ChoiceRules(attached=True))
    assert chosen.choice.state == "settled" and chosen.choice.candidate == ORIGINAL_ID
    taken = chosen.because[ORIGINAL_ID]
    assert isinstance(taken, Taken) and taken.by == "original"
    assert choose((FACTS,), ChoiceRules(attached=False)).choice.state == "provisional"
    drop = judge(Gate(metric="drop_pp", side="max", bound=1, required="advisory"), FACTS)
    assert drop.verdict is Verdict.MISSING
    assert drop.reason is not None and "quantized" in drop.reason
    assert judge(Gate(metric="top1", side="min", bound=0.5, required="always"), FACTS).verdict is Verdict.PASS


def test_the_reference_is_fp32_wherever_there_is_one() -> None:
    assert reference_of([a_candidate(BASELINE_ID), a_candidate("openvino-int8")]) == BASELINE_ID
    assert reference_of([ORIGINAL]) == ORIGINAL_ID
