"""Make kits of untrained networks. They are timed and never shipped, but otherwise equal kits that ship."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import tried
from edgecnn.models.catalogue import pixel_recipe, timed_arch
from edgecnn.planning.complete import tool_versions
from edgecnn.stages.candidate import PackageStage, QuantizeStage, runner_digest
from edgecnn.stages.desktop import ProgramStage, VariantStage
from edgecnn.stages.trunk import ExportStage, ProbeStage
from edgecnn.stages.weights import FetchStage
from edgecnn.store.entry import StageInputs
from edgecnn.store.store import Store
from edgecnn.training.settings import PROBE_IMAGES
from edgecnn.values.arch import ArchSpec
from edgecnn.values.artifact import Artifact, Failed, FoundInput, WeightsAnswer
from edgecnn.values.candidate import Candidate
from edgecnn.values.fit import Probe
from edgecnn.values.layers import MacTable
from edgecnn.values.preprocessing import Preprocessing
from edgecnn.values.stage import Progress, Role, Stage


def _preprocessing(probe: Probe) -> Preprocessing:
    spec = timed_arch(probe.arch)
    return Preprocessing(pixels=pixel_recipe(spec, probe.resolution_px), normalization=spec.normalization)


class _WithoutNotes:
    """Progress that shows steps and drops notes, because notes on the accuracy of an untrained network mean nothing."""

    def __init__(self, tell: Progress) -> None:
        self.step = tell.step

    def note(self, text: str) -> None:
        """Drop the note."""


class MadeKits(NamedTuple):
    """Kits of one network, by candidate."""

    made: dict[str, KitRef]
    failed: dict[str, str]
    """Candidate without a kit to the reason."""


@dataclass
class KitMaker:
    """Makes kits of probes with the stages of builds, so that stored kits are not made again."""

    store: Store
    tell: Progress
    environment: Mapping[str, str]

    def __post_init__(self) -> None:
        self._versions, self._runner = tool_versions(), runner_digest()

    def kits(self, probe: Probe, candidates: Iterable[Candidate], fetched: Artifact | None = None) -> MadeKits:
        """Make the kits of one network. ``fetched``: its published weights; None: seeded random weights.

        Raises EdgecnnError: the network itself cannot be made or exported.
        """
        preprocessing, kits = _preprocessing(probe), MadeKits({}, {})
        pixels = self._probe_artifact(probe)
        trunk = {"model": self._trunk(probe, pixels, fetched), "pixels": pixels}
        for candidate in candidates:
            kit = tried(partial(self._quantized_kit, preprocessing, candidate, trunk))
            if isinstance(kit, Failed):
                kits.failed[candidate.id] = kit.what
            else:
                kits.made[candidate.id] = kit
        return kits

    def gpu_kits(self, probe: Probe, ways: Sequence[Candidate], fetched: Artifact | None = None) -> MadeKits:
        """Make the kits of one network for the desktop GPU, which all run the same torch program.

        ``ways``: the desktop GPU's candidates, the reference first. ``fetched``: as for ``kits``.

        Raises EdgecnnError: the network itself cannot be made or saved.
        """
        preprocessing, pixels = _preprocessing(probe), self._probe_artifact(probe)
        inputs = {"pixels": pixels} if fetched is None else {"weights": fetched, "pixels": pixels}
        stage = ProgramStage(
            inputs={role: artifact.key for role, artifact in inputs.items()},
            candidate=ways[0],
            arch=probe.arch,
            classes=probe.classes,
            resolution_px=probe.resolution_px,
            normalization=preprocessing.normalization,
        )
        program = self._obtain(stage, inputs)
        kits = MadeKits({ways[0].id: self._packaged(preprocessing, ways[0], {"model": program, "pixels": pixels})}, {})
        for way in ways[1:]:
            kit = tried(partial(self._variant_kit, preprocessing, way, {"program": program, "pixels": pixels}))
            if isinstance(kit, Failed):
                kits.failed[way.id] = kit.what
            else:
                kits.made[way.id] = kit
        return kits

    def _variant_kit(self, preprocessing: Preprocessing, candidate: Candidate, artifacts: Mapping[Role, Artifact]) -> KitRef:
        inputs = {role: artifact.key for role, artifact in artifacts.items()}
        model = self._obtain(
            VariantStage(inputs=inputs, candidate=candidate, normalization=preprocessing.normalization), artifacts
        )
        return self._packaged(preprocessing, candidate, {"model": model, "pixels": artifacts["pixels"]})

    def mac_table(self, probe: Probe, fetched: Artifact | None = None) -> MacTable:
        """Return the multiply-adds of the exported network. Raises as ``kits`` does."""
        trunk = self._trunk(probe, self._probe_artifact(probe), fetched)
        return MacTable.model_validate_json((trunk.folder / "macs.json").read_bytes())

    def fetched(self, spec: ArchSpec, answer: WeightsAnswer) -> Artifact:
        """Fetch the weights that ``answer`` found, which is not ``none``. Raises EdgecnnError: see ``FetchStage.make``."""
        return self._obtain(FetchStage.from_answer(spec, answer), {})

    def _trunk(self, probe: Probe, pixels: Artifact, fetched: Artifact | None) -> Artifact:
        """Return the exported network. With seeded weights, the probe's artifact holds the network and the pixels."""
        if fetched is None:
            return pixels
        export = ExportStage(
            inputs={"weights": fetched.key, "pixels": pixels.key},
            arch=probe.arch,
            classes=probe.classes,
            resolution_px=probe.resolution_px,
            normalization=_preprocessing(probe).normalization,
        )
        return self._obtain(export, {"weights": fetched, "pixels": pixels})

    def _probe_artifact(self, probe: Probe) -> Artifact:
        stage = ProbeStage(arch=probe.arch, classes=probe.classes, preprocessing=_preprocessing(probe), form=probe.form)
        return self._obtain(stage, {})

    def _quantized_kit(self, preprocessing: Preprocessing, candidate: Candidate, trunk: Mapping[Role, Artifact]) -> KitRef:
        quantize = QuantizeStage(
            inputs={role: artifact.key for role, artifact in trunk.items()},
            candidate=candidate,
            images=PROBE_IMAGES,
            normalization=preprocessing.normalization,
        )
        return self._packaged(preprocessing, candidate, {"model": self._obtain(quantize, trunk), "pixels": trunk["pixels"]})

    def _packaged(self, preprocessing: Preprocessing, candidate: Candidate, inputs: Mapping[Role, Artifact]) -> KitRef:
        package = PackageStage(
            inputs={role: artifact.key for role, artifact in inputs.items()},
            name=f"probe--{candidate.id}",
            candidate=candidate,
            preprocessing=preprocessing,
            runner_sha256=self._runner,
        )
        return KitRef.of(candidate, self._obtain(package, inputs))

    def _obtain(self, stage: Stage, artifacts: Mapping[Role, Artifact]) -> Artifact:
        inputs = {
            role: FoundInput(path=artifact.folder, key=artifact.key, content=artifact.content)
            for role, artifact in artifacts.items()
        }
        return self.store.artifacts.obtain(
            stage, StageInputs(self._versions, inputs, self.environment), _WithoutNotes(self.tell)
        )[0]
