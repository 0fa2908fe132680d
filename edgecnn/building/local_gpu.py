"""Which GPU of this machine may play the desktop baseline: told without importing torch, since a cached build asks it too."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from edgecnn.building.desktop_variants import REFERENCE, Which, variants_asked
from edgecnn.building.devices import device_named, load_devices
from edgecnn.building.resolved import DesktopGpu
from edgecnn.values.candidate import Candidate

ROLE_ALIAS = "desktop-gpu"
"""The device file that answers to it names the role."""
HIDDEN = ("", "-1")
"""Values of CUDA_VISIBLE_DEVICES that show no GPU to any program."""


def role() -> str:
    """The name of the device file that states the role."""
    return device_named(ROLE_ALIAS).name


def local_gpu(models: Sequence[str], versions: Mapping[str, str | None], which: Which = "usual") -> DesktopGpu | None:
    """A GPU takes its own part: whatever its model, it is filed under that and never under the role's.

    Args:
        models: the GPUs of this machine as their driver names them; one that a device file knows goes before the others.
        versions: distribution to installed version, or None.
        which: variants beside the reference, as the recipe asks.

    Returns:
        None where there is no GPU, or no torch at all.
    """
    if not models or versions.get("torch") is None or versions.get("torchvision") is None:
        return None
    known = {device.title: device.name for device in load_devices().values() if device.role == "baseline"}
    model = next((each for each in models if each in known), models[0])
    variants, unavailable = variants_asked(which, versions)
    return DesktopGpu(
        model=model,
        device=known.get(model) or re.sub("[^a-z0-9]+", "-", model.lower()).strip("-"),
        candidate=_on(REFERENCE, model),
        variants=tuple(_on(each, model) for each in variants),
        unavailable=unavailable,
        unusable=_unusable(versions["torch"] or ""),
    )


def _on(candidate: Candidate, model: str) -> Candidate:
    return candidate.model_copy(update={"session_options": {**candidate.session_options, "gpu": model}})


def _unusable(torch_version: str) -> str | None:
    if torch_version.endswith("+cpu"):
        return f"torch {torch_version} was built without CUDA"
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in HIDDEN:
        return "CUDA_VISIBLE_DEVICES hides it"
    return None
