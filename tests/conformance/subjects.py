"""What the suite is about: every candidate that every backend offers for this machine, found through the registry.

A new runtime is one module in ``runtimes`` and one in ``runner/sessions``; nothing here names any. Each candidate is made from
one small network as the quantize stage makes it, and laid into a kit as package does.
"""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from edgecnn.devices.emulated_machine import DEVICE
from edgecnn.devices.files import device_named
from edgecnn.runner.machine.environment import read_conditions
from edgecnn.runner.packages import BROWSER
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runner.pixels import PixelRecipe
from edgecnn.runtimes.candidate import CandidateRequest, make_candidate
from edgecnn.runtimes.checks import TWIN_FOLDER
from edgecnn.runtimes.protocol import Backend
from edgecnn.runtimes.registry import all_backends, offers
from edgecnn.values.candidate import Candidate, Precision
from edgecnn.values.device import Device, Match, Processor, RuntimeFacts
from edgecnn.values.model_file import MODEL_FILE_NAME
from tests.graph.trunks import NORMALIZATION, RESOLUTION_PX, fitted_trunk, prepared, scratch, trunk
from tests.made_once import made_once
from tests.runner.kits import copy_runner, seal, write_golden
from tests.runtimes.made import Quiet

NETWORK = "resnet18"
IMAGES = 24


class Subject(NamedTuple):
    """One candidate and the backend that offers it."""

    backend: Backend
    candidate: Candidate


def this_machine() -> Device:
    """A device with this processor's instructions, on which every runtime computes in every precision that it can."""
    isa = tuple((read_conditions().get("isa") or "").split())
    facts = RuntimeFacts(
        versions=">=10.3",  # of any numbering: every runtime reads it as new enough
        python=">=3.11",
        onnx_opset_max=20,
        onnx_ir_max=10,
        precisions=dict.fromkeys(Precision, "native"),
        source="the conformance suite",
    )
    return Device(
        name="here",
        title="This machine",
        usually_attached=True,
        match=Match(),
        processor=Processor.model_validate(
            {"architecture": platform.machine(), "model": "here", "isa": isa, "source": "/proc/cpuinfo"}
        ),
        runtimes={backend.runtime: facts for backend in all_backends()},
    )


def subjects(device: Device | None = None) -> list[Subject]:
    """Of this machine, or of a device, in the order of the registry, float before INT8."""
    there = device or this_machine()
    return [
        Subject(backend, entry)
        for backend in all_backends()
        for entry in offers(backend.runtime, there)
        if isinstance(entry, Candidate)
    ]


def marked(found: list[Subject]) -> list[Any]:
    """As parameters of tests: those that need more than edgecnn's own packages are ``full``, since most machines lack it."""
    return [pytest.param(each, marks=pytest.mark.full) if needs_more(each.backend) else each for each in found]


def needs_more(backend: Backend) -> bool:
    """A browser."""
    return BROWSER in backend.runtime_packages


def kit_of(subject: Subject) -> Path:
    """The candidate's kit, made once a test run; it is not to be changed."""
    return _laid(subject.candidate.id, "")


def fitted_kit_of(subject: Subject) -> Path:
    """The same of the network that tells some pictures apart, see ``fitted_trunk``."""
    return _laid(subject.candidate.id, "", fitted=True)


def answering_kit(subject: Subject) -> Path:
    """The kit that answers for the candidate on a machine that cannot run it: its twin's, where it has one."""
    return _laid(subject.candidate.id, TWIN_FOLDER) if subject.candidate.needs_engine else kit_of(subject)


def copied(subject: Subject, folder: Path) -> Path:
    """A copy of the kit that a test may spoil, under another name."""
    return Path(shutil.copytree(kit_of(subject), folder))


def spoiled(kit: Path, spoil: Callable[[Path], None]) -> Path:
    """The kit after a change to its files, sealed anew: what is wrong is then the runtime's to find."""
    spoil(kit)
    seal(kit, json.loads((kit / "kit.json").read_text()))
    return kit


@cache
def _made(candidate_id: str, fitted: bool) -> Path:
    every = (*subjects(), *subjects(device_named(DEVICE)))
    candidate = next(each.candidate for each in every if each.candidate.id == candidate_id)
    images = 0 if candidate.precision.is_float else IMAGES
    request = CandidateRequest(
        onnx=fitted_trunk(NETWORK) if fitted else trunk(NETWORK),
        pixels=prepared(),
        candidate=candidate,
        images=images,
        normalization=NORMALIZATION,
    )
    return made_once(f"conformance-{candidate_id}{'-fitted' * fitted}", lambda out: make_candidate(request, out, Quiet()))


@cache
def _laid(candidate_id: str, part: str, fitted: bool = False) -> Path:
    made = _made(candidate_id, fitted)
    name = f"conformance-kit-{candidate_id}{part}{'-fitted' * fitted}"
    return lay_kit(made / part, scratch() / name, np.load(made / "golden_logits.npy"))


def lay_kit(model: Path, kit: Path, logits: Any, side: int = RESOLUTION_PX) -> Path:
    """A sealed kit of a folder with model files and ``model.json``."""
    described = json.loads((model / MODEL_FILE_NAME).read_text())
    (kit / "golden").mkdir(parents=True)
    for name in (*described["model"]["files"], *described.get("beside", ())):
        shutil.copyfile(model / name, kit / name)
    copy_runner(kit)
    if described["session"]["module"].endswith("_browser"):
        for page in (kit / "runner/browser/web").iterdir():
            shutil.copyfile(page, kit / page.name)
    golden = write_golden(kit, PixelRecipe(ImageSize.square(side), ImageSize.square(side), "bicubic"))
    np.save(kit / "golden" / "logits.npy", logits)
    manifest = {
        "schema": "edgecnn.kit/1",
        "name": kit.name,
        "candidate": {"id": kit.name, "runtime": described["session"]["module"], "precision": "fp32"},
        "session": described["session"],
        "model": described["model"],
        "preprocessing": {
            "pixels": {"resize_px": side, "crop_px": side, "interpolation": "bicubic"},
            "normalization": NORMALIZATION.model_dump(mode="json"),
        },
        "labels": [f"class {index}" for index in range(described["model"]["output"]["classes"])],
        "golden": golden,
        "requirements": {"python": ">=3.8", **described["requirements"]},
        "stands_for": None,
        "engine": described.get("engine"),
    }
    seal(kit, manifest)
    return kit
