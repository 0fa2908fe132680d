"""What `edgecnn explain` prints, line by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.render.screens.report import explanation_lines
from edgecnn.render.sentences import ran_in
from edgecnn.render.terminal import show_lines
from edgecnn.results.explain import explain, explain_candidate
from tests.building.explained import SETTLE, provisional_report, raced_report
from tests.judging.made import a_residency, an_interval

PROVISIONAL = f"""\
efficientnet-b0 on jetson-orin-nano: tensorrt-fp16 is used, PROVISIONALLY; verdict PASS
  jetson-orin-nano was not attached, so tensorrt-fp16 is used until a race settles it: by the default order \
(fp16, INT8, other), which estimates no speed
  this settles it: {SETTLE}

onnxruntime-fp32 (drops are counted from it)
  carried: the network that every drop is counted from
  top-1 90.0 % [89.4, 90.6] on 10,000 images
  what ran, on another machine than the device, whose kernels may differ: multiply-adds 100 % in fp32; \
time inside layers 100 % in fp32 (one traced process); bytes moved not known: the trace was read before bytes were counted
  emulated: its accuracy was computed on AMD EPYC, which is not the device
  gate max drop_pp 1: PASS, it is the baseline network itself: no drop by definition

tensorrt-fp16 (used)
  chosen for now: jetson-orin-nano was not attached, so tensorrt-fp16 is used until a race settles it: \
by the default order (fp16, INT8, other), which estimates no speed
  top-1 90.0 % [89.4, 90.6] on 10,000 images, drop +0.00 [-0.05, +0.05] pp
  what the engine's builder planned, and nothing ran: multiply-adds 99.9 % in fp16, <0.1 % in fp32; \
time inside layers not known; bytes moved not known: the trace was read before bytes were counted
  emulated: its accuracy is that of a twin that rounds to fp16, in ONNX Runtime on AMD EPYC \
(kit sha-of-twin- answered for sha-of-tenso), because the device builds its own engine, and none was executed here
  gate max drop_pp 1: PASS, drop 0.00 pp [-0.05, 0.05] at 90 % (emulated on AMD EPYC) meets drop_pp ≤ 1

Not tried
  tensorrt-int8: no kit was made: onnx is not installed; pip install "edgecnn[tensorrt-rtx]"

Not measured
  latency of onnxruntime-fp32, tensorrt-fp16: not measured on jetson-orin-nano
    this measures it: the command above
  memory, energy of onnxruntime-fp32, tensorrt-fp16: it was not asked for
    this measures it: the command above
  throughput by batch, the way from a picture file, a soak: jetson-orin-nano was not attached
  latency of the desktop GPU rtx-4090: no baseline profile is shipped

What would settle what is open
  tensorrt-fp16: which candidate is the fastest on jetson-orin-nano is open: a race there of what is carried would settle it
    measure it with: the command above

Ships, but was not run here
  tensorrt-fp16: no engine was executed"""


def test_a_provisional_build_says_what_it_is_and_what_settles_it() -> None:
    assert explanation_lines(explain(provisional_report())) == PROVISIONAL.splitlines()


def test_a_settled_build_says_why_this_and_not_each_other_one() -> None:
    lines = explanation_lines(explain(raced_report()))
    assert lines[:3] == [
        "resnet-18 on cpu: onnxruntime-int8 is used, which is settled; verdict PASS",
        "  onnxruntime-int8 is the best estimate inside the budget of 1 pp in the race for the choice, "
        "expected regret 0.0 % "
        "after 8 rounds; shown faster than onnxruntime-fp32, 1.12 × the speed [1.09, 1.18] at 98.4 % in the race for the report",
        "",
    ]
    int8 = lines[lines.index("onnxruntime-int8 (used)") :]
    assert int8[3:5] == [
        "  p50 0.73 [0.71, 0.75] ms (1,370 images/s), 1.12× [1.09, 1.18] as fast as fp32, measured in 8 runs "
        "of the race for the report on AMD EPYC",
        "  what ran: multiply-adds 100 % in int8; time inside layers 56.6 % in int8, "
        "24.7 % converting and moving numbers, 18.5 % in fp32 (one traced process); "
        "bytes moved not known: the trace was read before bytes were counted",
    ]
    assert "  onnxruntime-bf16: not supported: the CPU provider has no bf16 convolution" in lines


def test_one_candidate_alone_begins_with_its_name_and_says_its_command_in_full() -> None:
    found = explain_candidate(explain(provisional_report()), "tensorrt-fp16", Path("builds/x"))
    lines = explanation_lines(found, alone=True)
    assert lines[0] == "tensorrt-fp16 (used)"
    assert f"    this measures it: {SETTLE}" in lines


def test_images_that_would_settle_it_stand_beside_those_that_there_are() -> None:
    found = explain(provisional_report())
    question = found.open_questions[0].model_copy(update={"says": "drop 1 pp is open", "images": 5000, "images_seen": 1000})
    lines = explanation_lines(found.model_copy(update={"open_questions": (question,)}))
    assert "  tensorrt-fp16: drop 1 pp is open (this build judged 1,000 test images)" in lines


def test_a_ratio_of_a_disturbed_race_says_what_disturbed_it() -> None:
    found = explain(raced_report())
    busy = "other programs took 67 % of the processors' time"
    rows = tuple(
        row.model_copy(update={"facts": row.facts.model_copy(update={"latency": latency.model_copy(update={"disturbed": busy})})})
        for row in found.candidates
        if (latency := row.facts.latency) is not None and row.facts.chosen
    )
    (line,) = (line for line in explanation_lines(found.model_copy(update={"candidates": rows})) if "as fast as fp32" in line)
    assert line.endswith(f"of the race for the report on AMD EPYC, disturbed: {busy}")


@pytest.mark.parametrize(
    ("residency", "says"),
    [
        (
            a_residency(mac={"int8": 0.97, "unknown": 0.03}),
            "what ran: multiply-adds 97 % in int8, 3 % in a precision that the runtime does not name; "
            "time inside layers not known; bytes moved not known: the trace was read before bytes were counted",
        ),
        (
            a_residency("planned"),
            "what the engine's builder planned, and nothing ran: multiply-adds not known; "
            "time inside layers not known; bytes moved not known: the trace was read before bytes were counted",
        ),
    ],
)
def test_what_ran_says_what_is_not_known_of_it(residency: object, says: str) -> None:
    assert ran_in(residency) == says  # type: ignore[arg-type]


def test_names_that_would_steer_a_terminal_are_printed_by_their_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "\x1b[2Jred\n\u202eevil"
    report = raced_report()
    row = report.candidates[0]
    named = row.model_copy(
        update={
            "candidate": row.candidate.model_copy(update={"id": hostile}),
            "reason": hostile,
            "latency": row.latency and row.latency.model_copy(update={"machine": hostile, "p50_ms": an_interval(1.0)}),
        }
    )
    changed = report.model_copy(
        update={
            "candidates": (named, *report.candidates[1:]),
            "skipped_rungs": {hostile: hostile},
            "choice": report.choice.model_copy(update={"candidate": hostile, "why": hostile, "settle_command": hostile}),
            "build": report.build.model_copy(update={"arch": hostile, "device": hostile}),
            "unexecuted": (hostile,),
        }
    )
    lines = explanation_lines(explain(changed))
    show_lines(explanation_lines(explain(changed)))
    said = capsys.readouterr().out
    assert "\x1b" not in said and "\u202e" not in said
    assert "\\x1b[2Jred\\n\\u202eevil" in said
    assert len(said.splitlines()) == len(lines), "no name ends a line"
