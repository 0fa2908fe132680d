"""The ways in which torch runs a network on a desktop GPU: one is the reference, the others stand beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from edgecnn.values.candidate import Candidate, Precision, Runtime

Which = Literal["reference", "usual", "all"]
TENSORRT = "torch-tensorrt"
"""The distribution by which torch lets TensorRT run a program."""


def _way(ident: str, precision: Precision = Precision.FP32, **options: str) -> Candidate:
    asked = {"precision": precision.value, **options} if precision is not Precision.FP32 else options
    return Candidate(id=ident, runtime=Runtime.TORCH, precision=precision, session_options=asked)


REFERENCE = _way("torch-fp32")
"""Eager torch, TF32 off: what every figure of the edge is held against."""
BESIDE = (
    _way("torch-tf32", Precision.TF32),
    _way("torch-amp", Precision.FP16),
    _way("torch-fp32-cudagraph", graph="cuda"),
    _way("torch-amp-cudagraph", Precision.FP16, graph="cuda"),
    _way("torch-fp32-compiled", compile="inductor"),
    _way("torch-fp32-tensorrt", compile="tensorrt"),
)
USUAL = ("torch-amp-cudagraph",)
"""What is raced unless more is asked for. With one image a call, eager torch launches every small kernel by itself: alone,
that would flatter the edge. This one needs neither a compiler nor minutes of compiling."""

_PRECISION = {
    "fp32": "fp32 with TF32 off",
    "tf32": "TF32 allowed in convolutions and matrix products",
    "fp16": "automatic mixed precision (autocast to fp16)",
    "bf16": "automatic mixed precision (autocast to bf16)",
}
_COMPILED = {"inductor": "torch.compile (inductor)", "tensorrt": "torch.compile (Torch-TensorRT)"}


def variants_asked(which: Which, versions: Mapping[str, str | None]) -> tuple[tuple[Candidate, ...], dict[str, str]]:
    """The variants beside the reference, and by name why one cannot be had here.

    Args:
        which: the recipe's ``desktop.variants``.
        versions: distribution to installed version, or None.
    """
    asked = [each for each in BESIDE if which == "all" or (which == "usual" and each.id in USUAL)]
    lacking = [each for each in asked if _compiler(each) == "tensorrt" and versions.get(TENSORRT) is None]
    why = f"{TENSORRT} is not installed; pip install {TENSORRT}"
    return tuple(each for each in asked if each not in lacking), {each.id: why for each in lacking}


def how(candidate: Candidate) -> str:
    """What ran, in words: as it was requested, since what a GPU made of it is not read back."""
    options = candidate.session_options
    manner = _COMPILED.get(_compiler(candidate), "eager torch")
    graph = " in a CUDA graph" if options.get("graph") == "cuda" else ""
    precision = _PRECISION[options.get("precision", "fp32")]
    return f"{manner}{graph}, {precision}, one image a call, copies to and from the GPU inside"


def how_of(ident: str) -> str:
    """The same of a variant that is known by its name alone."""
    return next((how(each) for each in (REFERENCE, *BESIDE) if each.id == ident), ident)


def _compiler(candidate: Candidate) -> str:
    return candidate.session_options.get("compile", "off")
