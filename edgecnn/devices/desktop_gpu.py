"""Choose the GPU of this machine for the desktop baseline, without importing torch, so that cached builds stay fast."""

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
"""Alias of the device file that states the role."""
HIDDEN = ("", "-1")
"""Values of CUDA_VISIBLE_DEVICES that hide every GPU."""


def baseline_device_name() -> str:
    """Return the name of the device file that states the role."""
    return device_named(ROLE_ALIAS).name


def gpu_here(choice: VariantChoice = "usual", device: Device | None = None) -> DesktopGpu | None:
    """Return the GPU of this machine, by its driver and the installed packages; see ``local_gpu``.

    ``device``: choose the GPU that this device file describes; None: choose the first.
    """
    models, versions = gpu_models(), {name: installed_version(name) for name in ("torch", "torchvision", TENSORRT)}
    if device is not None:
        facts = local_facts()
        models = [model for model in models if matches(device, facts.model_copy(update={"models": (model,), "cpu_model": None}))]
    gpu = local_gpu(models, versions, choice)
    if gpu is None:
        return None
    named = {} if device is None else {"device": device.name}
    return gpu.model_copy(update={**named, "unusable": gpu.unusable or cuda_gap(_torch_cuda_version(), driver_cuda())})


def cuda_gap(built_for: str | None, driver_has: tuple[int, int] | None) -> str | None:
    """Return why this machine's torch cannot use its driver, or None if that is not known without a trial.

    ``built_for``: version of CUDA, such as ``13.0``; empty if torch was built without; None if not known. ``driver_has``: the
    newest version that the driver supports. A driver runs every minor version of its major version:
    https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
    """
    if built_for == "":
        return "torch was built without CUDA"
    major = (built_for or "").partition(".")[0]
    if driver_has is None or not major.isdecimal() or driver_has[0] >= int(major):
        return None
    return f"torch was built for CUDA {built_for}; the driver supports CUDA {driver_has[0]}.{driver_has[1]} at most"


def _torch_cuda_version() -> str | None:
    """Read torch's version of CUDA from its own file, without importing torch."""
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
    """Return the GPU under its own name, never under the role's; None without a GPU or without torch.

    ``models``: the GPUs of this machine as their driver names them; one with a device file is preferred.
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
        unusable=_why_unusable(versions["torch"] or ""),
    )


def _candidate_on(candidate: Candidate, model: str) -> Candidate:
    return candidate.model_copy(update={"session_options": {**candidate.session_options, "gpu": model}})


def _why_unusable(torch_version: str) -> str | None:
    if torch_version.endswith("+cpu"):
        return f"torch {torch_version} was built without CUDA"
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in HIDDEN:
        return "CUDA_VISIBLE_DEVICES hides it"
    return None


VariantChoice = Literal["reference", "usual", "all"]
TENSORRT = "torch-tensorrt"
"""The package that lets torch run a program with TensorRT."""


def _torch_candidate(ident: str, precision: Precision = Precision.FP32, **options: str) -> Candidate:
    settings = {"precision": precision.value, **options} if precision is not Precision.FP32 else options
    return Candidate(id=ident, runtime=Runtime.TORCH, precision=precision, session_options=settings)


REFERENCE = _torch_candidate("torch-fp32")
"""Eager torch with TF32 off, the reference of all figures on devices."""
VARIANTS = (
    _torch_candidate("torch-tf32", Precision.TF32),
    _torch_candidate("torch-amp", Precision.FP16),
    _torch_candidate("torch-fp32-cudagraph", graph="cuda"),
    _torch_candidate("torch-amp-cudagraph", Precision.FP16, graph="cuda"),
    _torch_candidate("torch-fp32-compiled", compile="inductor"),
    _torch_candidate("torch-fp32-tensorrt", compile="tensorrt"),
)
USUAL = ("torch-amp-cudagraph",)
"""Variants that are raced by default. With one image per call, eager torch launches every small kernel separately, so the GPU
would seem slow. This variant does not need a compiler or minutes of compilation."""

_PRECISION = {
    "fp32": "fp32 with TF32 off",
    "tf32": "TF32 allowed in convolutions and matrix products",
    "fp16": "automatic mixed precision (autocast to fp16)",
    "bf16": "automatic mixed precision (autocast to bf16)",
}
_COMPILED = {"inductor": "torch.compile (inductor)", "tensorrt": "torch.compile (Torch-TensorRT)"}


def named_variants(choice: VariantChoice, versions: Mapping[str, str | None]) -> tuple[tuple[Candidate, ...], dict[str, str]]:
    """Return the variants other than the reference, and the reason for each that is not available.

    ``choice``: ``desktop.variants`` of the recipe. ``versions``: package to installed version, or None.
    """
    chosen = [variant for variant in VARIANTS if choice == "all" or (choice == "usual" and variant.id in USUAL)]
    lacking = [variant for variant in chosen if _compiler(variant) == "tensorrt" and versions.get(TENSORRT) is None]
    why = f"{TENSORRT} is not installed; pip install {TENSORRT}"
    return tuple(variant for variant in chosen if variant not in lacking), {variant.id: why for variant in lacking}


def describe_candidate(candidate: Candidate) -> str:
    """Describe a candidate by its options. Unknown options of other versions stay as they are."""
    options = candidate.session_options
    compiler, precision = _compiler(candidate), options.get("precision", "fp32")
    execution = "eager torch" if compiler == "off" else _COMPILED.get(compiler, f"compiled by {compiler}")
    graph = " in a CUDA graph" if options.get("graph") == "cuda" else ""
    return f"{execution}{graph}, {_PRECISION.get(precision, precision)}, one image per call, including copies to and from the GPU"


def describe_variant(ident: str) -> str:
    """Describe a variant by its name alone."""
    return next((describe_candidate(candidate) for candidate in (REFERENCE, *VARIANTS) if candidate.id == ident), ident)


def _compiler(candidate: Candidate) -> str:
    return candidate.session_options.get("compile", "off")
