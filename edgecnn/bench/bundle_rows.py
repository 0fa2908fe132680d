"""From what was seen of a bundle's kits to rows of figures, as a build's report has them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgecnn.bench.facts import BundleBench
from edgecnn.bench.images import ReportImages
from edgecnn.bundle.verify import Verified
from edgecnn.errors.base import system_reason
from edgecnn.errors.building import NotOverwritten, OutputUnwritable
from edgecnn.judging.accuracy import Answers, accuracy
from edgecnn.judging.bounds import METRICS
from edgecnn.judging.energy import energy, missing_energy
from edgecnn.judging.gates import judge_candidate, verdict_of
from edgecnn.judging.latency import latency, missing_latency
from edgecnn.judging.memory import memory, missing_memory
from edgecnn.judging.quality import quality
from edgecnn.measure.energy import why_not
from edgecnn.measure.evaluate import logits_of
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import RaceResult
from edgecnn.store.disk import write_text_atomically
from edgecnn.store.profiles import StoredProfile
from edgecnn.values.artifact import Failed
from edgecnn.values.candidate import reference_of
from edgecnn.values.figures import Energy
from edgecnn.values.profile import Profile
from edgecnn.values.report import Accuracy, CandidateFacts
from edgecnn.values.verdict import Fidelity, Gate, GateResult, Verdict


@dataclass
class Measured:
    """What was seen on one machine, by candidate."""

    kits: Sequence[KitRef]
    shown: ReportImages
    lab: Lab
    is_device: bool
    """Whether the machine is the device: elsewhere answers are no evidence of what the device would say."""
    failures: dict[str, Failed] = field(default_factory=dict)
    answers: dict[str, StoredProfile] = field(default_factory=dict)
    race: RaceResult | None = None
    energy: RaceResult | None = None

    @property
    def runnable(self) -> tuple[KitRef, ...]:
        """Kits that have not failed."""
        return tuple(kit for kit in self.kits if kit.candidate.id not in self.failures)

    @property
    def baseline(self) -> str | None:
        """The kit that drops are counted from, where the bundle carries it."""
        name = reference_of(kit.candidate for kit in self.kits)
        return next((kit.candidate.id for kit in self.kits if kit.candidate.id == name), None)


def rows_of(measured: Measured, chosen: str | None, gates: Sequence[Gate]) -> tuple[CandidateFacts, ...]:
    """One row a kit, judged by these gates."""
    return tuple(_judged(_row(kit, measured, chosen), measured, gates) for kit in measured.kits)


# ---------------------------------------------------------------------------------------------------------------------


def _row(kit: KitRef, measured: Measured, chosen: str | None) -> CandidateFacts:
    name, machine, failed = kit.candidate.id, measured.lab.machine, measured.failures.get(kit.candidate.id)
    profile, why = _raced(kit, measured, measured.race)
    fp32 = next((each for each in measured.kits if each.candidate.id == measured.baseline and name != measured.baseline), None)
    against = None if fp32 is None else _raced(fp32, measured, measured.race)[0]
    return CandidateFacts(
        candidate=kit.candidate,
        chosen=name == chosen,
        is_baseline=name == measured.baseline,
        report=_accuracy(name, measured),
        latency=missing_latency(reason=why, machine=machine)
        if profile is None
        else latency(profile, fp32=against, machine=machine),
        memory=missing_memory(reason=why, machine=machine) if profile is None else memory(profile, machine=machine),
        energy=_energy(kit, measured),
        size_mib=kit.size_mib,
        kit_mib=kit.whole_mib,
        kit=kit.digest,
        evaluated_kit=kit.digest,
        outcomes={} if failed is None else {"measure": failed},
    )


def _raced(kit: KitRef, measured: Measured, result: RaceResult | None) -> tuple[Profile | None, str]:
    """Its profile of a race, else why there is none."""
    failed = measured.failures.get(kit.candidate.id)
    if failed is not None or result is None:
        return None, "not raced" if failed is None else failed.what
    return result.profiles.get(kit.entrant), result.failed.get(kit.entrant, "not raced")


def _energy(kit: KitRef, measured: Measured) -> Energy:
    machine = measured.lab.machine
    if measured.energy is None:
        return missing_energy(reason=why_not(measured.lab.environment), machine=machine)
    profile, why = _raced(kit, measured, measured.energy)
    return missing_energy(reason=why, machine=machine) if profile is None else energy(profile, machine=machine)


def _accuracy(name: str, measured: Measured) -> Accuracy | None:
    labels = measured.shown.labels
    if name not in measured.answers or labels is None:
        return None
    mine, baseline = _answers(name, measured), measured.baseline
    theirs = _answers(baseline, measured) if baseline in measured.answers and baseline not in (None, name) else None
    classes = tuple(str(each) for each in measured.kits[0].manifest["labels"])
    found = accuracy(mine, labels, "report", theirs)
    return found.model_copy(update={"quality": quality(mine, labels, classes, theirs)})


def _answers(name: str | None, measured: Measured) -> Answers:
    stored = measured.answers[name or ""]
    return Answers(
        candidate=name or "",
        logits=logits_of(stored),
        pixels=stored.profile.pixels or "",
        machine=stored.profile.host,
        fidelity=stored.profile.fidelity if measured.is_device else Fidelity.EMULATED,
    )


def _judged(row: CandidateFacts, measured: Measured, gates: Sequence[Gate]) -> CandidateFacts:
    results = tuple(_worded(each, measured) for each in judge_candidate(gates, row))
    return row.model_copy(update={"gates": results, "verdict": verdict_of(row, results)})


def _worded(result: GateResult, measured: Measured) -> GateResult:
    """The recorded accuracy is another day's, and mostly another machine's: it passes no gate of this call."""
    of_accuracy = METRICS[result.gate.metric].source == "accuracy"
    if result.verdict is not Verdict.MISSING or not of_accuracy or measured.shown.pixels is not None:
        return result
    return result.model_copy(update={"reason": measured.shown.facts.said})


REPORTED = "bundle-bench.json"
PROFILES = "profiles"


def output_folder(asked: Path | None, verified: Verified) -> Path:
    """Where the results go, made now so that it is refused before any time is spent; None: ``benches/NAME``.

    Raises:
        NotOverwritten: it holds something else, or lies in the bundle.
        OutputUnwritable: it cannot be made.
    """
    out = asked or Path("benches") / verified.manifest.name
    there, bundle = out.resolve(), verified.opened.path.resolve()
    if bundle == there or bundle in there.parents:
        raise NotOverwritten(path=out, because="it lies in the bundle, which stays as it was packed")
    try:
        if out.exists() and not (out / REPORTED).is_file() and (not out.is_dir() or any(out.iterdir())):
            raise NotOverwritten(path=out, because=f"it holds other files and no {REPORTED}")
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputUnwritable(path=out, because=system_reason(error)) from error
    return out


def write_bench(found: BundleBench, measured: Measured, out: Path) -> BundleBench:
    """Copy the profiles, and write ``bundle-bench.json`` last; what it says.

    Raises:
        OutputUnwritable: the folder does not take them.
    """
    try:
        profiles = {kit.candidate.id: tuple(_copied(kit, measured, out)) for kit in measured.kits}
        whole = found.model_copy(update={"profiles": profiles, "output": str(out)})
        write_text_atomically(out / REPORTED, whole.model_dump_json(indent=1, by_alias=True) + "\n")
    except OSError as error:
        raise OutputUnwritable(path=out, because=system_reason(error)) from error
    return whole


def _copied(kit: KitRef, measured: Measured, out: Path) -> Iterator[str]:
    for stored in _stored(kit, measured):
        name = f"{PROFILES}/{kit.candidate.id}/{stored.profile.what}-{stored.id}"
        shutil.copytree(stored.folder, out / name, copy_function=shutil.copyfile, dirs_exist_ok=True)
        yield name


def _stored(kit: KitRef, measured: Measured) -> Iterator[StoredProfile]:
    if (answers := measured.answers.get(kit.candidate.id)) is not None:
        yield answers
    raced = [
        result.profiles[kit.entrant] for result in (measured.race, measured.energy) if result and kit.entrant in result.profiles
    ]
    if raced:
        yield from (each for each in measured.lab.store.profiles.of(kit.digest, "race") if each.profile in raced)
