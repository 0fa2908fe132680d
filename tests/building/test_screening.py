"""Who races for the choice, and how seldom the fastest is left out."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from edgecnn.building.screening import SCREEN_ROUNDS, finalists, screened_ms
from edgecnn.values.candidate import Candidate, Precision, Runtime
from tests.judging.made import a_race

CANDIDATES = (
    Candidate(id="onnxruntime-fp32", runtime=Runtime.ONNXRUNTIME, precision=Precision.FP32),
    Candidate(id="onnxruntime-int8", runtime=Runtime.ONNXRUNTIME, precision=Precision.INT8),
    Candidate(id="openvino-fp32", runtime=Runtime.OPENVINO, precision=Precision.FP32),
    Candidate(id="openvino-bf16", runtime=Runtime.OPENVINO, precision=Precision.BF16),
    Candidate(id="openvino-int8", runtime=Runtime.OPENVINO, precision=Precision.INT8),
)
RECORDED = Path(__file__).parents[1] / "judging" / "runs" / "recorded_runs.json"
ALL = tuple(candidate.id for candidate in CANDIDATES)
MS = {"onnxruntime-fp32": 4.0, "onnxruntime-int8": 1.2, "openvino-fp32": 3.9, "openvino-bf16": 2.0, "openvino-int8": 1.0}


def test_the_baseline_the_best_float_and_the_best_two_race() -> None:
    assert finalists(MS, ALL, CANDIDATES) == ("onnxruntime-fp32", "openvino-bf16", "openvino-int8", "onnxruntime-int8")


def test_what_is_over_the_accuracy_budget_does_not_race_however_fast() -> None:
    inside = [name for name in ALL if name != "openvino-int8"]
    assert "openvino-int8" not in finalists(MS, inside, CANDIDATES)


def test_the_baseline_races_even_when_it_is_slowest_and_nothing_else_is_inside() -> None:
    assert finalists(MS, (), CANDIDATES) == ("onnxruntime-fp32",)


def test_what_did_not_finish_its_screening_does_not_race() -> None:
    screened = {name: ms for name, ms in MS.items() if name != "openvino-bf16"}
    assert finalists(screened, ALL, CANDIDATES) == ("onnxruntime-fp32", "openvino-fp32", "openvino-int8", "onnxruntime-int8")


def test_whoever_screening_cannot_tell_from_the_fastest_races_too() -> None:
    screened = {
        "onnxruntime-fp32": 0.83,
        "onnxruntime-int8": 0.74,
        "openvino-fp32": 0.94,
        "openvino-bf16": 0.83,
        "openvino-int8": 0.8,
    }
    assert finalists(screened, ALL, CANDIDATES) == ("onnxruntime-fp32", "onnxruntime-int8", "openvino-int8", "openvino-bf16")


def test_no_more_than_four_of_many_alike_race_beside_the_baseline() -> None:
    alike = {f"openvino-int8-{number}": 1.0 + number / 100 for number in range(8)}
    members = tuple(Candidate(id=name, runtime=Runtime.OPENVINO, precision=Precision.INT8) for name in alike)
    racing = finalists({**alike, "onnxruntime-fp32": 4.0}, (*alike, "onnxruntime-fp32"), (*members, CANDIDATES[0]))
    assert racing == ("onnxruntime-fp32", "openvino-int8-0", "openvino-int8-1", "openvino-int8-2", "openvino-int8-3")


def test_a_disturbed_process_of_the_fastest_weighs_as_one_of_three() -> None:
    assert screened_ms(a_race([1.0, 8.0, 1.0])) == pytest.approx(2.0)


def test_a_candidate_without_a_sample_has_no_place() -> None:
    nothing = a_race([1.0])
    assert screened_ms(nothing.model_copy(update={"runs": (nothing.runs[0].model_copy(update={"samples_ns": ()}),)})) is None


@pytest.mark.parametrize(
    ("slower", "by_one", "by_three"),
    [
        ((1, 1.3, 1.6, 1.6, 1.9, 2.5, 2.7, 2.7), 0.04, 0.01),
        ((1, 1.16, 1.31, 1.99, 2), 0.03, 0.02),
        ((1, 1.1, 1.15, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8), 0.12, 0.1),
    ],
    ids=["far apart", "mobilenet-v2", "close"],
)
def test_on_a_busy_machine_the_fastest_is_left_out_less_often(slower: tuple[float, ...], by_one: float, by_three: float) -> None:
    """By processes of one file that ran after each other there, as if each were one of the candidates'."""
    assert share_missed(slower, rounds=1) > by_one
    assert share_missed(slower, rounds=SCREEN_ROUNDS) < by_three


def share_missed(slower: tuple[float, ...], rounds: int) -> float:
    """Of fields whose members are so many times slower than their fastest, the first."""
    speeds = {f"openvino-int8-{number}": each for number, each in enumerate(slower)}
    members = tuple(Candidate(id=name, runtime=Runtime.OPENVINO, precision=Precision.INT8) for name in speeds)
    draw, recorded = random.Random(1), one_file_in_time()
    missed = 0
    for _ in range(1000):
        times = draw.choice(recorded)
        taken = iter(times[draw.randrange(len(times) - rounds * len(speeds)) :])
        seen: dict[str, list[float]] = {name: [] for name in speeds}
        for _ in range(rounds):
            for name in draw.sample(list(speeds), len(speeds)):
                seen[name].append(speeds[name] * next(taken))
        screened = {name: ms for name, medians in seen.items() if (ms := screened_ms(a_race(medians))) is not None}
        missed += members[0].id not in finalists(screened, speeds, (*members, CANDIDATES[0]))
    return missed / 1000


def one_file_in_time() -> list[list[float]]:
    """Medians of the processes of one file and its twin, in the order in which they ran, a list a recording."""
    found = []
    for one in json.loads(RECORDED.read_text())["recordings"]:
        column = {name: index for index, name in enumerate(one["columns"])}
        alike = [run for run in one["runs"] if run[column["kit"]] in ("a", "a-twin")]
        alike.sort(key=lambda run: (run[column["round"]], run[column["position"]]))
        found.append([run[column["median_ns"]] / 1e6 for run in alike])
    return found
