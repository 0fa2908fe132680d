"""What a finished build is judged on: its kits and what went into them, found again; what is gone is absent, with the reason.

Kits come out of the bundle, else out of the store by their digest, and everything behind them along the store's records: so the
figures are those of this very build, whatever was built in its folder or edited in its recipe since.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from edgecnn.building.engines import with_engines
from edgecnn.building.execute import Execution
from edgecnn.building.observe import Observer
from edgecnn.building.rows import Scene
from edgecnn.building.runnable import has_engine, why_not_runnable
from edgecnn.devices.this_machine import LocalFacts, attachment_of
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.board import BoardError
from edgecnn.errors.comparing import BundleUnreadable, KitNotCarried
from edgecnn.errors.gates import LogitsNotFinite
from edgecnn.judging.accuracy import check_finite
from edgecnn.measure.evaluate import PixelSet, evaluate, logits_of
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.nonfinite import blamed_layer
from edgecnn.measure.residency import residency, stored_residency, traced_residency
from edgecnn.planning.plan import Plan
from edgecnn.planning.variants import KINDS, graph_of
from edgecnn.results.finished import FinishedBuild
from edgecnn.results.lineage import TRUNK_KINDS, ancestor, kit_artifact, whole_kit
from edgecnn.results.shipped import side_of
from edgecnn.store.profiles import StoredProfile
from edgecnn.values.candidate import Candidate, Method
from edgecnn.values.device import EngineBuilder
from edgecnn.values.layers import MacTable
from edgecnn.values.report import CandidateFacts


@dataclass
class JudgedScene:
    """The scene of one finished build, and why what it lacks is not there."""

    finished: FinishedBuild
    lab: Lab
    observer: Observer
    scene: Scene
    absent: dict[str, str] = field(default_factory=dict)
    """Source of a metric (accuracy, residency, latency …) to why there is none."""
    _stuck: dict[str, str | None] = field(default_factory=dict)

    def why_not_runnable(self, name: str) -> str | None:
        """Asked of each kit once, since it starts a process."""
        if name not in self._stuck:
            self._stuck[name] = why_not_runnable(self.observer.seen.kits[name], self.lab)
        return self._stuck[name]

    def cannot_run(self, name: str, why: str) -> None:
        """Known without asking that kit."""
        self._stuck[name] = why


def scene_of(finished: FinishedBuild, lab: Lab, facts: LocalFacts) -> JudgedScene:
    """The kits of what ships and of the network that drops are counted from."""
    rows = [row for row in (finished.baseline, finished.row) if row is not None]
    here = attachment_of(finished.resolved.device, facts)
    resolved = finished.resolved.model_copy(
        update={
            "candidates": tuple({row.candidate.id: row.candidate for row in rows}.values()),
            "attachment": here,
            "desktop_gpu": None,
        }
    )
    execution = Execution(plan=Plan(resolved=resolved, steps=(), rungs=()))
    observer = Observer(execution, lab)
    judged = JudgedScene(finished, lab, observer, Scene(execution=execution, seen=observer.seen, lab=lab))
    for row in rows:
        _find_kits(judged, row)
    _find_origins(judged)
    return judged


def arm(judged: JudgedScene, builder: EngineBuilder) -> None:
    """Put the engines of this lab's machine into the kits that need one; of a kit that has none then, why is known."""
    seen = judged.observer.seen
    found = with_engines(seen.kits, builder, judged.lab)
    seen.kits.update(found.kits)
    seen.answering.update(found.kits)
    for name, error in found.failed.items():
        judged.cannot_run(name, error.line())


def read_accuracy(judged: JudgedScene) -> None:
    """Answers to the report split: the stored ones of this machine's conditions, else asked now, else those of any machine."""
    if "accuracy" in judged.absent:
        return
    pixels = _pixels(judged)
    for name, kit in judged.observer.seen.answering.items():
        stored, why = _answered(judged, name, kit, pixels)
        if stored is None:
            judged.absent["accuracy"] = f"there are no answers of {name} to the report split, and none can be had here: {why}"
            continue
        try:
            check_finite(name, logits_of(stored))
        except LogitsNotFinite as error:
            _no_numbers(judged, name, error.located(pixels.split, blamed_layer(kit, pixels.file, error.image)))
            continue
        judged.observer.seen.evaluations[name, "report"] = stored
    row, baseline = judged.finished.row, judged.finished.baseline
    if row.candidate.method is not Method.BROUGHT and (
        baseline is None or baseline.candidate.id not in judged.observer.seen.answering
    ):
        judged.absent["accuracy"] = f"{_store(judged)} no longer holds the fp32 kit that drops are counted from"
    if row.candidate.id not in judged.observer.seen.answering:
        judged.absent["accuracy"] = f"{_store(judged)} no longer holds the twin that answered for the kit"


def read_residency(judged: JudgedScene) -> None:
    """What really ran; traced now where the store has no trace of this machine and the kit runs here."""
    for name, kit in judged.observer.seen.kits.items():
        row = next(row for row in judged.finished.report.candidates if row.candidate.id == name)
        if kit.candidate.needs_engine and not has_engine(kit):
            if row.residency is not None and row.residency.basis == "planned":
                judged.observer.seen.residency[name] = row.residency
            continue
        try:
            _trace(judged, name, kit)
        except BoardError:
            raise
        except EdgecnnError as error:
            judged.absent["residency"] = f"residency of {name} could not be read: {error.line()}"


# ---------------------------------------------------------------------------------------------------------------------


def _find_kits(judged: JudgedScene, row: CandidateFacts) -> None:
    kit, seen = _kit(judged, row.candidate, row.kit), judged.observer.seen
    if kit is None:
        return
    seen.kits[row.candidate.id] = kit
    answering = kit if row.evaluated_kit in (None, row.kit) else _kit(judged, row.candidate, row.evaluated_kit)
    if answering is not None:
        seen.answering[row.candidate.id] = answering


def _kit(judged: JudgedScene, candidate: Candidate, digest: str | None) -> KitRef | None:
    if digest is None:
        return None
    try:
        carried = side_of(judged.finished.folder, candidate.id).kit
        if carried.digest == digest:
            return carried
    except (KitNotCarried, BundleUnreadable):  # of another candidate than the one that ships: the store may have it
        pass
    made = whole_kit(judged.lab.store, digest)
    return None if made is None else KitRef.of(candidate, made)


def _find_origins(judged: JudgedScene) -> None:
    """The images and the multiply-adds, along the records of whichever kit of this build the store still has."""
    store, artifacts = judged.lab.store, judged.scene.execution.artifacts
    for kit in judged.observer.seen.kits.values():
        made = kit_artifact(store, kit.digest)
        for step in ("prepare", graph_of(kit.candidate)):
            kinds = TRUNK_KINDS if step == "export" else (KINDS.get(step, step),)
            if made is not None and step not in artifacts and (found := ancestor(store, made, *kinds)) is not None:
                artifacts[step] = found
    if "prepare" not in artifacts:
        judged.absent["accuracy"] = f"{_store(judged)} no longer holds the images that this build was evaluated on"


def _store(judged: JudgedScene) -> str:
    return f"the store {judged.lab.store.root}"


def _pixels(judged: JudgedScene) -> PixelSet:
    folder = judged.scene.execution.artifacts["prepare"].folder
    return PixelSet.prepared(folder, "report", judged.finished.resolved.data.counts["report"])


def _no_numbers(judged: JudgedScene, name: str, error: LogitsNotFinite) -> None:
    """Of what ships, every gate on accuracy fails; without the network that drops are counted from, they are not known."""
    judged.observer.fail(name, error)
    if name != judged.finished.row.candidate.id:
        judged.observer.seen.notes.append(f"nothing is counted from {error.line()}")


def _answered(judged: JudgedScene, name: str, kit: KitRef, pixels: PixelSet) -> tuple[StoredProfile | None, str]:
    try:
        return evaluate(kit, pixels, judged.lab), ""
    except BoardError:
        raise
    except EdgecnnError as error:
        stored = judged.lab.store.profiles.of(kit.digest, "evaluation")
        found = next((each for each in stored if each.profile.pixels == pixels.sha256), None)
        if found is not None:
            then = f"{found.profile.observed_at} on {found.profile.host}"
            judged.observer.seen.notes.append(f"accuracy of {name} is of {then}, since it does not run here: {error.line()}")
        return found, error.line()


def _trace(judged: JudgedScene, name: str, kit: KitRef) -> None:
    lab, artifacts = judged.lab, judged.scene.execution.artifacts
    made_from = graph_of(kit.candidate)
    stored = stored_residency(kit, lab)
    if stored is None and judged.scene.attached:
        if (why := judged.why_not_runnable(name)) is not None:
            judged.absent["residency"] = why
        elif made_from in artifacts:
            macs = MacTable.model_validate_json((artifacts[made_from].folder / "macs.json").read_text())
            stored = residency(kit, macs, lab)
        else:
            gone = f"{_store(judged)} no longer holds the network whose multiply-adds are counted"
            judged.observer.seen.notes.append(f"of the residency of {name} only times are known: {gone}")
            judged.absent["residency"] = gone
            table = MacTable(resolution_px=judged.finished.report.build.resolution_px, layers=())
            found = traced_residency(kit, table, lab).residency
            if found is not None:
                judged.observer.seen.residency[name] = found
    if stored is not None and stored.profile.residency is not None:
        judged.observer.seen.residency[name] = stored.profile.residency
