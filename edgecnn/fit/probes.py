"""Networks that a device's table is measured with, and their kits: what ships in every way but that it learned nothing."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from edgecnn.building.runnable import tried
from edgecnn.errors.studies import ResolutionUnderStride, ScaleInvalid, ScaleLeavesNoChannel
from edgecnn.fit.features import counted_of
from edgecnn.measure.kits import KitRef
from edgecnn.models.catalogue import BLOCKS, all_archs, pixel_recipe, timed_arch
from edgecnn.models.compound import RULES, scaled
from edgecnn.planning.complete import tool_versions
from edgecnn.stages.package import PackageStage, runner_digest
from edgecnn.stages.probe import ProbeStage
from edgecnn.stages.quantize import QuantizeStage
from edgecnn.store.store import Store
from edgecnn.store.wanted import StageInputs
from edgecnn.training.settings import PROBE_IMAGES
from edgecnn.values.artifact import Artifact, Failed, FoundInput
from edgecnn.values.candidate import Candidate
from edgecnn.values.dataset import Preprocessing
from edgecnn.values.fit import Probe
from edgecnn.values.layers import MacTable
from edgecnn.values.scale import CompoundScale
from edgecnn.values.stage import Progress, Role, Stage

DEPTHS, WIDTHS = (0.3, 1.3), (0.25, 1.3)
"""Multipliers between which members of a family are drawn, evenly by their logarithms."""
SIDES_PX = (32, 32, 48, 48, 64, 64, 96, 128, 160, 192, 224)
CLASSES = (10, 100, 1000)
SEEDS = 10_000
"""Of networks of random blocks."""
DRAWS = 20
"""For each network that is wanted, at most."""
MOST_MMACS = 1500.0
"""Of a network that is drawn: a larger one would take the time of ten."""
_UNSCALED = ("shufflenet-v1", "shufflenet-v2", "densenet", "efficientnet-v2", "resnext", "googlenet")
"""Families that no rule scales and whose blocks are of other kinds: they are drawn at other resolutions."""


_IN_TURN = tuple(name for family in (*RULES, *_UNSCALED) for name in (BLOCKS, family))


def pool(size: int, families: Iterable[str] = _IN_TURN, seed: int = 0) -> tuple[Probe, ...]:
    """So many different networks, every other one of random blocks, the families in turn; the same every time."""
    draw, names, found = random.Random(seed), list(families), dict[Probe, None]()
    for _ in range(DRAWS * size):
        if len(found) == size:
            break
        probe = _drawn(names[len(found) % len(names)], draw)  # again of the same family where it was too large, or there is none
        if probe is not None and probe not in found and _affordable(probe):
            found[probe] = None
    return tuple(found)


def _drawn(family: str, draw: random.Random) -> Probe | None:
    side, classes = draw.choice(SIDES_PX), draw.choice(CLASSES)
    if family == BLOCKS:
        return Probe(arch=f"{BLOCKS}-{draw.randrange(SEEDS)}", resolution_px=side, classes=classes)
    spec = draw.choice([each for each in all_archs() if each.family == family])
    if family not in RULES:
        return Probe(arch=spec.name, resolution_px=side, classes=classes)
    depth, width = (round(low * (high / low) ** draw.random(), 2) for low, high in (DEPTHS, WIDTHS))
    try:
        scaled_spec = scaled(spec, CompoundScale(depth=depth, width=width), side).spec
    except (ScaleInvalid, ScaleLeavesNoChannel, ResolutionUnderStride):
        return None
    return Probe(arch=scaled_spec.name, resolution_px=side, classes=classes)


def _affordable(probe: Probe) -> bool:
    return counted_of(probe).macs / 1e6 <= MOST_MMACS


def _seen(probe: Probe) -> Preprocessing:
    spec = timed_arch(probe.arch)
    return Preprocessing(pixels=pixel_recipe(spec, probe.resolution_px), normalization=spec.normalization)


class _Steps:
    """Progress without sentences: what a network answers that learned nothing is worth none."""

    def __init__(self, tell: Progress) -> None:
        self.step = tell.step

    def note(self, text: str) -> None:
        """Left out."""


class MadeKits(NamedTuple):
    """Those of one network, by candidate."""

    made: dict[str, KitRef]
    failed: dict[str, str]
    """Why there is none."""


@dataclass
class KitMaker:
    """Makes kits of probes by the stages that builds use, so that what is stored is not made again."""

    store: Store
    tell: Progress
    environment: Mapping[str, str]

    def __post_init__(self) -> None:
        self._versions, self._runner = tool_versions(), runner_digest()

    def kits(self, probe: Probe, candidates: Iterable[Candidate]) -> MadeKits:
        """Of one network. Raises EdgecnnError: the network itself cannot be made or exported."""
        seen, found = _seen(probe), MadeKits({}, {})
        probed = self._probed(probe)
        for candidate in candidates:
            made = tried(partial(self._kit, seen, candidate, probed))
            if isinstance(made, Failed):
                found.failed[candidate.id] = made.what
            else:
                found.made[candidate.id] = made
        return found

    def mac_table(self, probe: Probe) -> MacTable:
        """Of the exported network. Raises what ``kits`` does."""
        return MacTable.model_validate_json((self._probed(probe).folder / "macs.json").read_bytes())

    def _probed(self, probe: Probe) -> Artifact:
        stage = ProbeStage(arch=probe.arch, classes=probe.classes, preprocessing=_seen(probe), form=probe.form)
        return self._made(stage, {})

    def _kit(self, seen: Preprocessing, candidate: Candidate, probed: Artifact) -> KitRef:
        quantize = QuantizeStage(
            inputs={"model": probed.key, "pixels": probed.key},
            candidate=candidate,
            images=PROBE_IMAGES,
            normalization=seen.normalization,
        )
        model = self._made(quantize, {"model": probed, "pixels": probed})
        package = PackageStage(
            inputs={"model": model.key, "pixels": probed.key},
            name=f"probe--{candidate.id}",
            candidate=candidate,
            preprocessing=seen,
            runner_sha256=self._runner,
        )
        return KitRef.of(candidate, self._made(package, {"model": model, "pixels": probed}))

    def _made(self, stage: Stage, given: Mapping[Role, Artifact]) -> Artifact:
        found = {role: FoundInput(path=each.folder, key=each.key, content=each.content) for role, each in given.items()}
        return self.store.artifacts.obtain(stage, StageInputs(self._versions, found, self.environment), _Steps(self.tell))[0]
