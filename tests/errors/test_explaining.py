from __future__ import annotations

from pathlib import Path

from edgecnn.errors.comparing import UnknownCandidate

KNOWN = ("onnxruntime-fp32", "onnxruntime-int8", "openvino-fp16")


def test_a_slip_gets_the_nearest_name() -> None:
    error = UnknownCandidate(folder=Path("builds/x"), candidate="onnxruntime-in8", known=KNOWN)
    assert error.line() == (
        "builds/x says nothing of a candidate 'onnxruntime-in8': it speaks of onnxruntime-fp32, onnxruntime-int8, openvino-fp16"
        " — did you mean onnxruntime-int8? [unknown-candidate]"
    )


def test_any_other_word_gets_them_all() -> None:
    error = UnknownCandidate(folder=Path("builds/x"), candidate="fast one", known=KNOWN[:1])
    assert error.line().endswith("it speaks of onnxruntime-fp32 — name one of these [unknown-candidate]")
