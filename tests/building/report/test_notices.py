"""Sentences that a reader acts on: the command that settles a choice, and what to know before believing the table."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edgecnn.building.notices import measure_command, notices, unexecuted_engine_notices
from edgecnn.devices.files import device_named
from edgecnn.measure.kits import KitRef
from edgecnn.models.catalogue import arch_named
from edgecnn.planning.candidates import BASELINE
from edgecnn.values.artifact import NetworkWithWeights, WeightsAnswer
from edgecnn.values.board import HostRequest
from edgecnn.values.candidate import Candidate, Precision, Runtime
from edgecnn.values.report import Choice
from edgecnn.values.training import Teacher, TeacherTerms
from tests.building.resolutions import INT8, TRT_FP16, resolved, summary
from tests.building.scenes import ELSEWHERE, Staging, a_choice, a_kit, a_request, an_artifact

OPENVINO = Candidate(id="openvino-fp32", runtime=Runtime.OPENVINO, precision=Precision.FP32)
ALL = (BASELINE, INT8, TRT_FP16, OPENVINO)


@pytest.fixture
def kits(tmp_path: Path) -> dict[str, KitRef]:
    return {each.id: a_kit(tmp_path / "kits" / each.id, each, each.id.encode()) for each in ALL}


def provisional(*carried: str) -> Choice:
    return a_choice(*carried, state="provisional")


def command(kits: dict[str, KitRef], choice: Choice, out: str = "out") -> str | None:
    return measure_command(a_request(Path(out), device=device_named("raspberry-pi-5")), choice, kits)


@pytest.mark.parametrize("carried", [("onnxruntime-int8", "onnxruntime-fp32"), ("openvino-fp32",), ("tensorrt-fp16",)])
def test_whatever_is_carried_is_measured_from_here(kits: dict[str, KitRef], carried: tuple[str, ...]) -> None:
    assert command(kits, provisional(*carried)) == "edgecnn bench out --host USER@raspberry-pi-5"


def test_what_was_left_open_on_this_machine_is_measured_here(kits: dict[str, KitRef]) -> None:
    request = a_request(Path("out"), device=device_named("cpu"))
    assert measure_command(request, provisional("onnxruntime-fp32"), kits, raced=True) == "edgecnn bench out --fresh"
    there = request.model_copy(update={"host": HostRequest(address="pi@10.0.0.5")})
    asked = measure_command(there, provisional("onnxruntime-fp32"), kits, raced=True)
    assert asked == "edgecnn bench out --host pi@10.0.0.5 --fresh"


def test_a_path_with_spaces_and_quotes_is_one_word_of_the_shell(kits: dict[str, KitRef]) -> None:
    said = command(kits, provisional("onnxruntime-fp32"), out="my builds/it's")
    assert said is not None
    assert shlex.split(said)[:3] == ["edgecnn", "bench", "my builds/it's"]


def test_a_settled_choice_has_nothing_to_measure(kits: dict[str, KitRef]) -> None:
    assert command(kits, a_choice("onnxruntime-fp32")) is None


def test_a_choice_whose_kits_were_not_made_has_nothing_to_measure() -> None:
    assert command({}, provisional("onnxruntime-fp32")) is None


# ---------------------------------------------------------------------------------------------------------------------


ANEW = "`edgecnn bench builds/x --fresh` races again"
ENGINES = ("tensorrt-fp16",)


def said_of(tmp_path: Path, **changes: Any) -> tuple[str, ...]:
    changes.setdefault("data", summary().model_copy(update={"origin": "folder"}))
    return notices_of(Staging(tmp_path, **changes))


def test_where_all_is_as_wished_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert said_of(tmp_path) == ()


def test_a_network_with_weights_on_this_machine_is_named_before_the_reason(tmp_path: Path) -> None:
    better = NetworkWithWeights(
        arch="efficientnet-lite0", top1=0.755, macs=384_000_000, instead_of_top1=0.698, instead_of_macs=1_814_000_000
    )
    weights = WeightsAnswer(choice="auto", kind="none", why="training starts from random weights: …", alternative=better)
    assert said_of(tmp_path, weights=weights)[0] == (
        "NOT PRETRAINED: efficientnet-lite0 has pretrained weights on this machine (published top-1 75.5 % instead of 69.8 %, "
        "MACs 384 M instead of 1,814 M): --arch efficientnet-lite0. Now training starts from random weights: …"
    )


def test_figures_that_nobody_published_are_left_out_of_the_offer() -> None:
    better = NetworkWithWeights(
        arch="efficientnet-lite0", top1=0.755, macs=384_000_000, instead_of_top1=None, instead_of_macs=423_000
    )
    assert "(MACs 384 M instead of 0.4 M)" in better.sentence


def test_asking_again_is_not_advised_where_the_network_was_never_asked(tmp_path: Path) -> None:
    asked = WeightsAnswer(choice="auto", kind="none", asked=True, why="none published")
    (silent,) = said_of(tmp_path / "a", weights=asked)
    (never,) = said_of(tmp_path / "b", weights=asked.model_copy(update={"asked": False}))
    assert "--refresh-weights" in silent and "--refresh-weights" not in never


def test_training_from_scratch_by_wish_is_no_news(tmp_path: Path) -> None:
    assert said_of(tmp_path, weights=WeightsAnswer(choice="none", kind="none", why="as asked")) == ()


@pytest.mark.parametrize(
    ("weights", "first"),
    [
        (WeightsAnswer(choice="imagenet", kind="package", why="installed"), "resnet-50 (fine-tuned"),
        (None, "resnet-50 (the build b)"),
    ],
)
def test_who_taught_is_said_with_its_own_accuracy(weights: WeightsAnswer | None, first: str, tmp_path: Path) -> None:
    terms = TeacherTerms(arch="resnet-50", normalization=arch_named("resnet-50").normalization, resolution_px=64)
    teacher = Teacher(
        named="b" if weights is None else "resnet-50", terms=terms, weights=weights, trained=None if weights else "7" * 64
    )
    data = summary().model_copy(update={"origin": "folder"})
    staged = Staging(tmp_path, data=data, teacher=teacher)
    trained = an_artifact("train", tmp_path / "trained")
    best = {"phase": "scratch", "epoch": 7, "validation_top1": 0.9049}
    told = {
        "teacher": {"arch": "resnet-50", "validation_top1": 0.912},
        "phases": [{"name": "scratch", "epochs": [{"epoch": 7}]}],
        "best": best,
        "stopped": "s",
    }
    (trained.folder / "history.json").write_text(json.dumps(told))
    staged.execution.artifacts["train"] = trained
    taught, kept = notices_of(staged)
    assert first in taught and "91.2%" in taught
    assert "epoch 8 " in kept and "90.5%" in kept


def test_an_absent_device_is_said_with_what_that_leaves_open(tmp_path: Path) -> None:
    staged = Staging(tmp_path, attachment=ELSEWHERE, data=summary().model_copy(update={"origin": "folder"}))
    assert notices_of(staged) == (), "a verb that stops before anything answers computed no accuracy"
    staged.answered("onnxruntime-fp32", 900)
    (notice,) = notices_of(staged)
    assert notice.startswith(staged.resolved.attachment.why)


def test_engines_are_emulated_only_where_a_twin_answered(tmp_path: Path) -> None:
    data = summary().model_copy(update={"origin": "folder"})
    staged = Staging(tmp_path, data=data, candidates=(BASELINE, TRT_FP16))
    assert notices_of(staged) == ()
    staged.answered(TRT_FP16.id, 900)
    staged.seen.answering[TRT_FP16.id] = staged.seen.kits[TRT_FP16.id].model_copy(update={"stands_for": "d" * 64})
    (notice,) = notices_of(staged)
    assert "emulated" in notice and "report.json" in notice


def _half(runtime: str, precision: str = "fp16") -> Candidate:
    return Candidate(id=f"{runtime}-{precision}", runtime=runtime, precision=precision)


@pytest.mark.parametrize("candidate", [_half(each) for each in ("ncnn", "onnxruntime", "openvino", "litert", "webgpu")], ids=str)
@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ({"bf16": 1.0}, " bf16:"),
        ({"fp32": 1.0}, " fp32:"),
        ({"fp32": 0.1, "bf16": 0.36, "unknown": 0.54}, " bf16 and fp32 (54.0 % "),
        ({"fp16": 0.9, "fp32": 0.1}, None),
        ({"unknown": 1.0}, None),
        ({}, None),
        (None, None),
    ],
)
def test_half_precision_that_answered_in_another_one_here_says_which_its_trace_shows(
    tmp_path: Path, candidate: Candidate, shares: dict[str, float] | None, said: str | None
) -> None:
    data = summary().model_copy(update={"origin": "folder"})
    staged = Staging(tmp_path, data=data, candidates=(BASELINE, candidate), attachment=ELSEWHERE)
    staged.answered(candidate.id, 900)
    if shares is not None:
        staged.resides(candidate.id, "executed", **shares)
    found = [each for each in notices(staged.seen, anew=ANEW) if each.startswith(f"accuracy of {candidate.id}")]
    assert [(said or "none") in each for each in found] == ([] if said is None else [True])


@pytest.mark.parametrize("why", ["attached", "answered elsewhere", "a twin answered", "planned", "not evaluated"])
def test_of_half_precision_that_did_not_answer_here_nothing_is_said(tmp_path: Path, why: str) -> None:
    data, half = summary().model_copy(update={"origin": "folder"}), _half("openvino")
    there = {} if why == "attached" else {"attachment": ELSEWHERE}
    staged = Staging(tmp_path, data=data, candidates=(BASELINE, half), **there)
    kit = staged.answered(half.id, 900)
    staged.resides(half.id, "planned" if why == "planned" else "executed", fp32=1.0)
    if why == "answered elsewhere":
        staged.seen.elsewhere.add(half.id)
    if why == "a twin answered":
        staged.seen.answering[half.id] = kit.model_copy(update={"stands_for": "d" * 64})
    if why == "not evaluated":
        staged.seen.evaluations.clear()
    assert not [each for each in notices_of(staged) if each.startswith("accuracy of openvino-fp16")]


def test_without_labels_no_accuracy_was_computed(tmp_path: Path) -> None:
    staged = Staging(tmp_path, data=summary().model_copy(update={"origin": "folder"}), attachment=ELSEWHERE)
    staged.answered("onnxruntime-fp32", 900)
    unlabelled = staged.resolved.data.model_copy(update={"classes": ()})
    staged.seen.about = staged.resolved.model_copy(update={"data": unlabelled})
    assert "accuracy" not in notices(staged.seen, anew=ANEW)[-1]


def test_a_reused_race_says_how_old_it_is_and_a_fresh_one_says_nothing(tmp_path: Path) -> None:
    staged = Staging(tmp_path, data=summary().model_copy(update={"origin": "folder"}))
    staged.kit(BASELINE.id)
    when = (datetime.now(UTC) - timedelta(hours=5)).isoformat(timespec="seconds")
    staged.raced("select", {BASELINE.id: 4.0}, reused=True, observed_at=when)
    staged.raced("report", {BASELINE.id: 4.0})
    (said,) = notices_of(staged)
    assert when in said and "5.0 h" in said and said.endswith(ANEW)


def test_what_was_seen_to_go_wrong_on_the_side_is_said(tmp_path: Path) -> None:
    staged = Staging(tmp_path, data=summary().model_copy(update={"origin": "folder"}))
    staged.seen.notes.append("no trace")
    assert notices_of(staged) == ("no trace",)


def test_without_engines_everything_that_ships_was_executed(tmp_path: Path) -> None:
    assert not_run(Staging(tmp_path), ()) == ()


def notices_of(staged: Staging) -> tuple[str, ...]:
    return notices(staged.seen, anew=ANEW, execution=staged.execution)


def not_run(staged: Staging, carried: Sequence[str]) -> tuple[str, ...]:
    return unexecuted_engine_notices(staged.seen, staged.execution, carried)


def engine(tmp_path: Path, **changes: Any) -> Staging:
    staged = Staging(tmp_path, candidates=(BASELINE, TRT_FP16), **changes)
    staged.kit(TRT_FP16.id)
    return staged


def test_an_engine_without_a_builder_here_is_not_even_parsed_and_the_extra_is_named(tmp_path: Path) -> None:
    assert "edgecnn[tensorrt-rtx]" in not_run(engine(tmp_path), ENGINES)[-1]


def test_an_engine_that_does_not_ship_is_not_said_to(tmp_path: Path) -> None:
    assert not_run(engine(tmp_path), (BASELINE.id,)) == ()


def test_an_engine_built_ahead_of_time_says_for_which_gpus(tmp_path: Path) -> None:
    staged = engine(tmp_path, builder="tensorrt_rtx_bindings", device=device_named("jetson"))
    staged.execution.artifacts["compile:tensorrt-fp16"] = an_artifact("compile", tmp_path / "compiled")
    assert not_run(staged, ENGINES)[-1].endswith(resolved(device=device_named("jetson")).device.title)
