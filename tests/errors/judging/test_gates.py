import pytest

from edgecnn.errors.base import ExitCode
from edgecnn.errors.gates import (
    BoundMissing,
    BoundOfTwoBuilds,
    BoundOnWrongSide,
    BoundOutOfRange,
    BoundTwice,
    ConditionsDiffer,
    LogitsDoNotMatch,
    LogitsNotFinite,
    MetricNotCompared,
    NoImages,
    OneClassAnswered,
    RacesDiffer,
    RoundTwice,
    UnknownMetric,
)

KNOWN = ("drop_pp", "p50_ms", "p99_ms")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            UnknownMetric(where="--max", name="p99", known=KNOWN),
            "--max: no metric is called 'p99' — did you mean p99_ms? known: drop_pp, p50_ms, p99_ms [unknown-metric]",
        ),
        (
            UnknownMetric(where="[gates] min", name="zzz", known=KNOWN),
            "[gates] min: no metric is called 'zzz' — known: drop_pp, p50_ms, p99_ms [unknown-metric]",
        ),
        (
            MetricNotCompared(where="--max", name="p99_ms", known=("latency_ratio", "drop_pp")),
            "--max: p99_ms is not judged against another build: there are latency_ratio, drop_pp"
            " — judge it by itself: edgecnn judge RECIPE --max p99_ms=… [metric-not-compared]",
        ),
        (
            BoundOfTwoBuilds(where="--max", name="latency_ratio"),
            "--max: latency_ratio compares two builds, and only one is named"
            " — edgecnn judge HEAD --against BASE --max latency_ratio=1.03 [bound-of-two-builds]",
        ),
        (
            BoundMissing(where="--max", text="p99_ms<20", example="p99_ms=20"),
            "--max: 'p99_ms<20' states no bound — write name=number, such as p99_ms=20 [bound-missing]",
        ),
        (
            BoundOutOfRange(where="--max", metric="p99_ms", bound=float("nan"), allowed="a finite number of at least 0"),
            "--max: p99_ms cannot be bounded by nan: it must be a finite number of at least 0 [bound-out-of-range]",
        ),
        (
            BoundOnWrongSide(where="--min", metric="p99_ms", better="lower", right_way="--max p99_ms=20"),
            "--min: of p99_ms lower is better, so this bound would refuse the best — write --max p99_ms=20 [bound-on-wrong-side]",
        ),
        (
            BoundTwice(where="--max", metric="p99_ms", first=20, second=30),
            "--max: p99_ms is bounded by both 20 and 30 — state it once [bound-twice]",
        ),
        (
            NoImages(candidate="openvino-int8", split="test"),
            "openvino-int8: there is no accuracy of 0 test images [no-images]",
        ),
        (
            OneClassAnswered(candidate="openvino-int8", classes=1),
            "openvino-int8: there is no accuracy of 1 class: every answer would be right"
            " — give a network with at least two outputs, and images of at least two classes [one-class-answered]",
        ),
        (
            LogitsNotFinite(candidate="tensorrt-fp16", image=7, value=float("nan"), bad=(3, 100)),
            "tensorrt-fp16: logits of image 7 hold nan: 3 of 100 images got an answer that is no number"
            " — the arithmetic overflows: leave this precision out, or keep the last layers in fp32 [logits-not-finite]",
        ),
        (
            LogitsNotFinite(candidate="openvino-bf16", image=7, value=float("inf"), bad=(3, 100)).located(
                "test", "the layer is not known: openvino does not show what its layers give"
            ),
            "openvino-bf16: logits of image 7 of the test split hold inf: 3 of 100 images got an answer that is no number;"
            " the layer is not known: openvino does not show what its layers give"
            " — the arithmetic overflows: leave this precision out, or keep the last layers in fp32 [logits-not-finite]",
        ),
        (
            LogitsDoNotMatch(candidate="openvino-int8", ours="logits of shape (3, 10)", theirs="labels of shape (4,)"),
            "openvino-int8: logits of shape (3, 10) cannot be held against labels of shape (4,)"
            " — evaluate both again on the same images [logits-do-not-match]",
        ),
        (
            RacesDiffer(ours="kit-a", theirs="kit-b", our_race="r1", their_race=None),
            "no ratio of kit-a to kit-b: they ran in different races (r1 and none), under different conditions"
            " — race them together: edgecnn bench [races-differ]",
        ),
        (
            ConditionsDiffer(condition="governor", ours="powersave", theirs=None),
            "runs cannot be compared: governor differs: powersave against unknown"
            " — measure both again on one machine in one state: edgecnn bench [conditions-differ]",
        ),
        (
            RoundTwice(subject="kit-a", round_=3),
            "kit-a has two runs in round 3 — delete the run files of this race and race again [round-twice]",
        ),
    ],
    ids=lambda value: value.ref if hasattr(value, "ref") else "",
)  # fmt: skip
def test_the_line_says_what_why_and_what_to_do(error, line):
    assert error.line() == line


def test_what_a_user_states_is_bad_input_and_what_we_mixed_up_is_ours():
    assert BoundMissing(where="--max", text="x", example="y").exit_code is ExitCode.BAD_INPUT
    assert RoundTwice(subject="kit-a", round_=3).exit_code is ExitCode.OWN_FAULT
