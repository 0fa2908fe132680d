"""The networks of the ladder: trained at 64 px by the ordinary build, and the same weights as kits at 224 px.

The second is made of the first one's plan: the same steps with a larger picture, but for trainings and the ranking of layers,
which stay those of 64 px. So a rung of the one is the same rung of the other, and only arithmetic is bought anew.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.ladder.widened import WidenedStage
from edgecnn.building.execute import Execution, StageContext, execute
from edgecnn.devices.this_machine import local_facts
from edgecnn.hosts.local import LocalHost
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.residency import residency
from edgecnn.models.catalogue import pixel_recipe
from edgecnn.planning.plan import Plan, Step, plan
from edgecnn.results.folder import PLAN, REPORT
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.stages.images import PrepareStage
from edgecnn.store.profiles import Profiles
from edgecnn.store.store import Store
from edgecnn.values.artifact import Outcome
from edgecnn.values.candidate import Candidate, graph_of
from edgecnn.values.layers import MacTable, Residency
from edgecnn.values.report import BuildReport
from edgecnn.values.resolved import Resolved
from edgecnn.values.stage import Key, Progress

NETWORKS = ("mobilenet-v2", "mobilenet-v3-large", "efficientnet-b0", "efficientnet-lite0", "resnet-18", "resnet-50")
SIDE_PX = 224
GOLDEN_IMAGES = 32
"""At a resolution that a network was not trained at it may answer four pictures alike, and a kit must be able to tell."""
LADDER = "ladder.json"
"""Beside the report: how long the build took."""
AS_TRAINED = "@trained"
_TRUNK = ("prepare", "fetch", "train", "export")
_KEPT = ("fetch", "train", "rank")
"""Steps that the larger ladder shares with the trained one."""
_LINEAGES = ("aware", "surgery")
"""Steps that train again and leave an ONNX file."""


@dataclass(frozen=True)
class Built:
    """A finished 64 px build."""

    folder: Path
    report: BuildReport
    plan: Plan

    @property
    def rungs(self) -> tuple[str, ...]:
        """Candidates that have a kit: of rungs that were climbed."""
        return tuple(row.candidate.id for row in self.report.candidates if row.kit is not None)

    @property
    def kits(self) -> tuple[str, ...]:
        """What their answers are filed under."""
        return tuple(row.kit for row in self.report.candidates if row.kit is not None)


@dataclass(frozen=True)
class AtSide:
    """The same rungs at another resolution."""

    execution: Execution
    store: Store
    kits: dict[str, KitRef]
    failed: dict[str, str]

    def folder(self, step: str) -> Path:
        """The files of one step."""
        return self.execution.artifacts[step].folder


def build(arch: str, work: Path, *options: str) -> Built:
    """What anybody would type, and how long it took beside the training; ``options`` are further words of the command line."""
    folder = work / arch / "build"
    settings = ("--arch", arch, "--target", "cpu", *options)
    run_edgecnn("train", *settings, "--out", str(folder))
    began, moment = time.perf_counter(), datetime.now(UTC).replace(microsecond=0)
    run_edgecnn("build", *settings, "--out", str(folder))
    seconds = time.perf_counter() - began
    built = read_build(folder)
    if made_every_rung(built.report.outcomes) and none_answered_before(moment, built.kits, Store.open().profiles):
        (folder / LADDER).write_text(json.dumps({"beside_training_s": round(seconds, 1), "rungs": built.rungs}))
    return built


def made_every_rung(outcomes: Mapping[str, Outcome]) -> bool:
    """Whether the call with these outcomes, by step, took nothing of a rung from the store: else it says nothing of a ladder."""
    of_rungs = [outcome.outcome for step, outcome in outcomes.items() if step.startswith(("quantize:", "rank:", *_LINEAGES))]
    return bool(of_rungs) and set(of_rungs) == {"ran"}


def none_answered_before(moment: datetime, kits: Collection[str], profiles: Profiles) -> bool:
    """Whether no answers of these kits are older: one that came out as it was before, to the byte, is not asked again."""
    dates = [observation.profile.observed_at for kit in kits for observation in profiles.of(kit, "evaluation")]
    return all(datetime.fromisoformat(date) >= moment for date in dates)


def ladder_seconds(built: Built) -> float | None:
    """Of the newest call that made every rung of this build, and no other rung; None where none did.

    Training of the network is apart; a training that a rung asks for, after surgery or for INT8, is counted in.
    """
    file = built.folder / LADDER
    document = json.loads(file.read_text()) if file.is_file() else {}
    return float(document["beside_training_s"]) if document.get("rungs") == list(built.rungs) else None


def read_build(folder: Path) -> Built:
    """A finished build, from its folder."""
    resolved = Resolved.model_validate(json.loads((folder / PLAN).read_text())["resolved"])
    return Built(folder, BuildReport.model_validate_json((folder / REPORT).read_bytes()), plan(resolved))


def resized_plan(trained: Plan, side_px: int, candidates: Collection[str]) -> Plan:
    """The plan of these candidates at another resolution, from the weights of this one."""
    resolved = trained.resolved
    preprocessing = resolved.preprocessing.model_copy(update={"pixels": pixel_recipe(resolved.arch, ImageSize.square(side_px))})
    model = resolved.recipe.model.model_copy(update={"resolution_px": ImageSize.square(side_px)})
    recipe = resolved.recipe.model_copy(update={"model": model})
    changed = {"preprocessing": preprocessing, "recipe": recipe, "desktop_gpu": None}
    larger = plan(resolved.model_copy(update=changed))
    steps = [_renamed(step) for step in trained.steps if step.candidate is None and step.stage.kind in _TRUNK]
    keys: dict[Key, Key] = {}
    for step in larger.steps:
        before = trained.step(step.id)
        if before is not None and step.stage.kind in _KEPT:
            keys[step.key] = before.key
            steps += [before] if step.candidate is not None else []
        elif before is not None and step.stage.kind in _LINEAGES:
            steps += [_renamed(before), _widened(before, keys[_prepared(larger)], larger.resolved)]
            keys[step.key] = steps[-1].key
        else:
            steps.append(_regrown(step, keys, resolved))
            keys[step.key] = steps[-1].key
    rungs = []
    for rung in larger.rungs:
        if members := tuple(candidate for candidate in rung.candidates if candidate.id in candidates):
            rungs.append(rung.model_copy(update={"candidates": members, "mends": None}))
    return Plan(resolved=larger.resolved, steps=tuple(steps), rungs=tuple(rungs))


def _renamed(step: Step) -> Step:
    return Step(id=f"{step.id}{AS_TRAINED}", stage=step.stage, key=step.key)


def _prepared(larger: Plan) -> Key:
    return next(step.key for step in larger.steps if step.stage.kind == "prepare")


def _widened(before: Step, pixels: Key, resolved: Resolved) -> Step:
    side_px, normalization = resolved.preprocessing.pixels.crop_px.short_px, resolved.preprocessing.normalization
    stage = WidenedStage(inputs={"model": before.key, "pixels": pixels}, side_px=side_px, normalization=normalization)
    return Step(id=before.id, stage=stage, key=stage.key(resolved.versions))


def _regrown(step: Step, keys: dict[Key, Key], resolved: Resolved) -> Step:
    inputs = {role: keys.get(key, key) for role, key in step.stage.inputs.items()}
    stage = step.stage.model_copy(update={"inputs": inputs})
    if isinstance(stage, PrepareStage):
        stage = stage.model_copy(update={"golden_images": GOLDEN_IMAGES})
    return Step(id=step.id, stage=stage, key=stage.key(resolved.versions), candidate=step.candidate)


def make_at_side(built: Built, side_px: int, tell: Progress) -> AtSide:
    """Run that plan against the store, as far as kits."""
    store, host = Store.open(), LocalHost()
    environment = dict(host.identify().conditions)
    wanted = resized_plan(built.plan, side_px, built.rungs)
    execution = execute(
        Execution(plan=wanted), StageContext(store=store, host=host, environment=environment, tell=tell), "package"
    )
    kits, failed = {}, {}
    for rung in wanted.rungs:
        for candidate in rung.candidates:
            made = execution.artifacts.get(f"package:{candidate.id}")
            if made is None:
                failed[candidate.id] = _why(candidate, execution)
            else:
                kits[candidate.id] = KitRef.of(candidate, made)
    return AtSide(execution, store, kits, failed)


def _why(candidate: Candidate, execution: Execution) -> str:
    outcomes = (execution.outcomes.get(step.id) for step in execution.plan.branch_of(candidate.id))
    return next((what for outcome in outcomes if (what := getattr(outcome, "what", None))), "it was not made")


def residency_of(kit: KitRef, made: AtSide, tell: Progress) -> Residency | None:
    """What really ran in one traced process of the kit."""
    host = LocalHost()
    machine = local_facts().describe()
    lab = Lab(host=host, store=made.store, tell=tell, device="cpu", machine=machine, environment=host.identify())
    macs = MacTable.model_validate_json((made.folder(graph_of(kit.candidate)) / "macs.json").read_text())
    return residency(kit, macs, lab).profile.residency


def train_seconds(made: AtSide) -> float:
    """Of the training, from its record."""
    return made.execution.artifacts[f"train{AS_TRAINED}"].record.seconds


def run_edgecnn(*words: str) -> None:
    print(f"$ edgecnn {' '.join(words)}", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "edgecnn", *words]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    if done.returncode not in (0, 1, 4):  # a gate that fails or is open is a finding, not a failure
        raise SystemExit(f"edgecnn {words[0]} ended with exit code {done.returncode}")
