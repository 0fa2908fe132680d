"""Which GPU of this machine may play the desktop baseline: told without importing torch, since a cached build asks it too."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from edgecnn.devices.files import device_named, load_devices
from edgecnn.devices.this_machine import local_facts, matches
from edgecnn.installed import installed_version
from edgecnn.runner.machine.nvml import driver_cuda
from edgecnn.runner.machine.sensors import gpu_models
from edgecnn.values.candidate import Candidate, Precision, Runtime
from edgecnn.values.device import Device
from edgecnn.values.resolved import DesktopGpu

ROLE_ALIAS = "desktop-gpu"
"""The device file that answers to it names the role."""
HIDDEN = ("", "-1")
"""Values of CUDA_VISIBLE_DEVICES that show no GPU to any program."""


def role() -> str:
    """The name of the device file that states the role."""
    return device_named(ROLE_ALIAS).name


def gpu_here(choice: VariantChoice = "usual", device: Device | None = None) -> DesktopGpu | None:
    """The GPU of this machine, by what its driver lists and what is installed; see ``local_gpu``.

    ``device``: the one of several that this device file describes, and by its name; None: whichever comes first.
    """
    models, versions = gpu_models(), {name: installed_version(name) for name in ("torch", "torchvision", TENSORRT)}
    if device is not None:
        facts = local_facts()
        models = [model for model in models if matches(device, facts.model_copy(update={"models": (model,), "cpu_model": None}))]
    gpu = local_gpu(models, versions, choice)
    if gpu is None:
        return None
    named = {} if device is None else {"device": device.name}
    return gpu.model_copy(update={**named, "unusable": gpu.unusable or cuda_gap(_built_for(), driver_cuda())})


def cuda_gap(built_for: str | None, driver_has: tuple[int, int] | None) -> str | None:
    """Why this machine's torch cannot use its driver, where that is known without trying.

    ``built_for``: CUDA's version, as ``13.0``; empty where torch was built without; None where it is not known. ``driver_has``:
    the newest that the driver runs. One of the same major version runs all of it:
    https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
    """
    if built_for == "":
        return "torch was built without CUDA"
    major = (built_for or "").partition(".")[0]
    if driver_has is None or not major.isdecimal() or driver_has[0] >= int(major):
        return None
    return f"torch was built for CUDA {built_for}, and the driver runs CUDA {driver_has[0]}.{driver_has[1]} at most"


def _built_for() -> str | None:
    """Read out of torch's own file, which takes no import of it."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    try:
        text = Path(spec.origin).with_name("version.py").read_text("utf-8")
    except OSError:
        return None
    match = re.search(r"^cuda\b[^=\n]*=\s*(?:'([\d.]+)'|None)", text, re.MULTILINE)
    return match and (match[1] or "")


def local_gpu(models: Sequence[str], versions: Mapping[str, str | None], choice: VariantChoice = "usual") -> DesktopGpu | None:
    """A GPU takes its own part: whatever its model, it is filed under that and never under the role's; None without torch.

    ``models``: the GPUs of this machine as their driver names them; one that a device file knows goes before the others.
    """
    if not models or versions.get("torch") is None or versions.get("torchvision") is None:
        return None
    known = {device.title: device.name for device in load_devices().values() if device.role == "baseline"}
    model = next((name for name in models if name in known), models[0])
    variants, unavailable = named_variants(choice, versions)
    return DesktopGpu(
        model=model,
        device=known.get(model) or re.sub("[^a-z0-9]+", "-", model.lower()).strip("-"),
        candidate=_candidate_on(REFERENCE, model),
        variants=tuple(_candidate_on(variant, model) for variant in variants),
        unavailable=unavailable,
        unusable=_unusable(versions["torch"] or ""),
    )


def _candidate_on(candidate: Candidate, model: str) -> Candidate:
    return candidate.model_copy(update={"session_options": {**candidate.session_options, "gpu": model}})


def _unusable(torch_version: str) -> str | None:
    if torch_version.endswith("+cpu"):
        return f"torch {torch_version} was built without CUDA"
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in HIDDEN:
        return "CUDA_VISIBLE_DEVICES hides it"
    return None


VariantChoice = Literal["reference", "usual", "all"]
TENSORRT = "torch-tensorrt"
"""The distribution by which torch lets TensorRT run a program."""


def _torch_candidate(ident: str, precision: Precision = Precision.FP32, **options: str) -> Candidate:
    settings = {"precision": precision.value, **options} if precision is not Precision.FP32 else options
    return Candidate(id=ident, runtime=Runtime.TORCH, precision=precision, session_options=settings)


REFERENCE = _torch_candidate("torch-fp32")
"""Eager torch, TF32 off: what every figure of the edge is held against."""
VARIANTS = (
    _torch_candidate("torch-tf32", Precision.TF32),
    _torch_candidate("torch-amp", Precision.FP16),
    _torch_candidate("torch-fp32-cudagraph", graph="cuda"),
    _torch_candidate("torch-amp-cudagraph", Precision.FP16, graph="cuda"),
    _torch_candidate("torch-fp32-compiled", compile="inductor"),
    _torch_candidate("torch-fp32-tensorrt", compile="tensorrt"),
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


def named_variants(choice: VariantChoice, versions: Mapping[str, str | None]) -> tuple[tuple[Candidate, ...], dict[str, str]]:
    """The variants beside the reference, and by name why one cannot be had here.

    ``which``: the recipe's ``desktop.variants``. ``versions``: distribution to installed version, or None.
    """
    chosen = [variant for variant in VARIANTS if choice == "all" or (choice == "usual" and variant.id in USUAL)]
    lacking = [variant for variant in chosen if _compiler(variant) == "tensorrt" and versions.get(TENSORRT) is None]
    why = f"{TENSORRT} is not installed; pip install {TENSORRT}"
    return tuple(variant for variant in chosen if variant not in lacking), {variant.id: why for variant in lacking}


def describe_candidate(candidate: Candidate) -> str:
    """What ran, in words: as it was requested, since what a GPU made of it is not read back. A record of another edgecnn may
    have words that this one does not know."""
    options = candidate.session_options
    compiler, precision = _compiler(candidate), options.get("precision", "fp32")
    execution = "eager torch" if compiler == "off" else _COMPILED.get(compiler, f"compiled by {compiler}")
    graph = " in a CUDA graph" if options.get("graph") == "cuda" else ""
    return f"{execution}{graph}, {_PRECISION.get(precision, precision)}, one image a call, copies to and from the GPU inside"


def describe_variant(ident: str) -> str:
    """The same of a variant that is known by its name alone."""
    return next((describe_candidate(candidate) for candidate in (REFERENCE, *VARIANTS) if candidate.id == ident), ident)


def _compiler(candidate: Candidate) -> str:
    return candidate.session_options.get("compile", "off")
