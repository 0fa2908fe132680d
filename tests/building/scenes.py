"""Builders of what building, publishing and judging read: kits, artifacts, profiles and reports, small and made by hand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from edgecnn.building.choosing import Call, Decision
from edgecnn.building.execute import Execution
from edgecnn.building.measuring import add_execution_results
from edgecnn.building.report import report_of
from edgecnn.devices.files import device_named
from edgecnn.hosts.protocol import Task
from edgecnn.judging.gates import EffectiveGates
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import RaceResult
from edgecnn.measure.subject import Subject
from edgecnn.planning.plan import plan
from edgecnn.planning.request import BuildRequest, effective_gates
from edgecnn.runner.packages import installed_version
from edgecnn.store.profiles import StoredProfile
from edgecnn.store.store import Store
from edgecnn.values.artifact import Artifact, FileFact, Record
from edgecnn.values.candidate import Candidate
from edgecnn.values.layers import Residency
from edgecnn.values.profile import Environment, Profile, Purpose, Run, RunMemory
from edgecnn.values.recipe import Recipe
from edgecnn.values.report import BaselineFacts, Build, BuildReport, Choice, Latency
from edgecnn.values.resolved import Attachment, Resolved
from edgecnn.values.stage import digest_of
from edgecnn.values.verdict import Fidelity, Verdict
from tests.building.resolutions import resolved
from tests.store.toys import Ear

CLASSES = 10
IMAGES = 1000
PIXELS = "5" * 64
HERE = Environment(conditions={"machine": "m1", "cpu": "a cpu"}, observed={"energy_absent": "rapl: this is a virtual machine"})
ELSEWHERE = Attachment(attached=False, why="this machine is a laptop, which is not a board")


def a_kit(folder: Path, candidate: Candidate, model: bytes = b"weights" * 100) -> KitRef:
    """A folder whose manifest lists one model file."""
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(model)
    files = {"model.onnx": {"bytes": len(model), "sha256": hashlib.sha256(model).hexdigest()}}
    manifest = json.dumps({"name": candidate.id, "files": files, "model": {"files": ["model.onnx"], "batch_max": 64}})
    (folder / "kit.json").write_text(manifest)
    digest = hashlib.sha256(manifest.encode()).hexdigest()
    return KitRef(candidate=candidate, folder=folder, digest=digest, runtime="onnxruntime")


def an_artifact(kind: str, folder: Path, files: Mapping[str, str] | None = None) -> Artifact:
    """A finished entry that lies in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (files or {}).items():
        (folder / name).write_text(text)
    facts = {name: FileFact(sha256=digest_of(text), bytes=len(text)) for name, text in (files or {}).items()}
    key = digest_of([kind, str(folder)])
    record = Record(key=key, payload={}, inputs={}, files=facts, environment={}, made_at="2026-11-20T09:00:00+00:00", seconds=1.0)
    return Artifact(kind=kind, key=key, folder=folder, record=record)


def a_request(out: Path, **changes: Any) -> BuildRequest:
    return BuildRequest.model_validate({"recipe": Recipe(), "device": device_named("cpu"), "out": out, **changes})


def gates_of(seen: Subject, request: BuildRequest) -> EffectiveGates:
    return effective_gates(seen.resolved, request.gates, request.stored_race, None, finished=request.only_judge)


def a_report_of(staged: Staging, request: BuildRequest, seconds: float = 1.0, earlier: Decision | None = None) -> BuildReport:
    return report_of(staged.execution, staged.seen, Call(request, gates_of(staged.seen, request)), seconds, earlier)


def a_choice(*carried: str, state: str = "settled", candidate: str | None = None, why: str = "it is the fastest") -> Choice:
    return Choice.model_validate({"state": state, "candidate": candidate or carried[0], "why": why, "carried": carried})


def a_report(**changes: Any) -> BuildReport:
    nothing = Latency(
        p50_ms=None, p99_ms=None, ratio_to_fp32=None, runs=0, samples=0, fidelity=Fidelity.MISSING, machine="", observed_at=""
    )
    build = Build(
        name="out", arch="resnet-18", parameters=1, macs=None, resolution_px=64, weights="none", weights_sha256=None, data="demo",
        classes=10, splits={}, device="cpu", device_attached=True, command="edgecnn build",
    )  # fmt: skip
    found: dict[str, Any] = {
        "version": "1", "made_at": "2026-11-20T09:00:00+00:00", "build": build, "environment": HERE, "candidates": (),
        "unsupported": (), "skipped_rungs": {}, "choice": Choice(state="none", candidate=None, why="nothing was built"),
        "verdict": Verdict.PASS, "gates": (), "notices": (), "unexecuted": (), "outcomes": {}, "seconds": 1.0, "timings_s": {},
        "baseline": BaselineFacts(device="rtx-4090", accuracy_from="here", latency=nothing), "output": "out",
    }  # fmt: skip
    return BuildReport.model_validate({**found, **changes})


class NoHost:
    """A machine on which nothing may be started."""

    part_bytes: int | None = None

    def identify(self) -> NoReturn:
        raise AssertionError("identified")

    def runtime_version(self, runtime: str) -> str | None:
        return installed_version(runtime)

    def recall(self, out: Path) -> None: ...

    def run(self, task: Task, *, lease_s: float, tell: object) -> NoReturn:
        raise AssertionError(f"ran {task.command}")


def right(count: int, images: int = IMAGES) -> np.ndarray:
    """Answers of which the first ``count`` are right, to images of every class in turn."""
    wrong = np.arange(images) >= count
    return np.eye(CLASSES, dtype=np.float32)[(np.arange(images) + wrong) % CLASSES]


def a_race_profile(subject: str, ms: float, *, purpose: Purpose, rounds: int = 8, **changes: Any) -> Profile:
    runs = tuple(
        Run(
            round=n,
            position=0,
            load_ns=1,
            first_ns=1,
            warmup_ns=(),
            samples_ns=(round(ms * 1e6),) * 50,
            started_at="",
            memory=RunMemory(baseline_mib=60.0, peak_mib=60.0 + 10 * ms, source="VmHWM"),
        )  # fmt: skip
        for n in range(rounds)
    )
    found: dict[str, Any] = {
        "what": "race", "subject": subject, "device": "cpu", "host": "here", "environment": HERE, "purpose": purpose,
        "fidelity": Fidelity.MEASURED, "observed_at": "2026-11-20T09:00:00+00:00", "race": f"race-{purpose}", "runs": runs,
    }  # fmt: skip
    return Profile.model_validate({**found, **changes})


class Staging:
    """What was planned, made and seen, for a test to fill."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.folder, self.store = folder, Store.open(folder / "store")
        self.resolved: Resolved = resolved(**changes)
        self.execution = Execution(plan=plan(self.resolved))
        lab = Lab(host=NoHost(), store=self.store, tell=Ear(), device="cpu", machine="a machine", environment=HERE)
        self.seen = Subject.from_build(self.resolved, lab)
        prepared = an_artifact("prepare", folder / "prepared")
        for split in ("validation", "test"):
            np.save(prepared.folder / f"{split}.labels.npy", np.arange(IMAGES) % CLASSES)
        self.execution.artifacts["prepare"] = prepared
        self.made()

    def made(self) -> None:
        """What the execution has come to is known of the subject."""
        add_execution_results(self.seen, self.execution, self.execution.candidates)

    def kit(self, name: str) -> KitRef:
        candidate = next(each for each in self.resolved.candidates if each.id == name)
        self.seen.kits[name] = a_kit(self.folder / "kits" / name, candidate)
        return self.seen.kits[name]

    def answered(self, name: str, correct: int) -> KitRef:
        """A kit with the same answers on both splits."""
        kit = self.seen.kits.get(name) or self.kit(name)
        self.seen.answering[name] = kit
        self.logits(name, right(correct))
        return kit

    def logits(self, name: str, logits: np.ndarray) -> None:
        path = self.folder / f"{name}.npy"
        np.save(path, logits)
        for split in ("validation", "test"):
            profile = Profile(
                what="evaluation", subject=self.seen.kits[name].digest, device="cpu", host="a machine", environment=HERE,
                fidelity=Fidelity.MEASURED, observed_at="2026-11-20T09:00:00+00:00", pixels=PIXELS, images=len(logits),
                logits_file="logits.npy",
            )  # fmt: skip
            stored: StoredProfile = self.store.profiles.add(profile, {"logits.npy": path})
            self.seen.evaluations[name, split] = stored

    def raced(
        self, purpose: Purpose, ms: Mapping[str, float], *, rounds: int = 8, reused: bool = False, observed_at: str | None = None
    ) -> None:
        digests = {name: self.seen.kits[name].digest for name in ms}
        profiles = {
            digests[name]: a_race_profile(digests[name], each, purpose=purpose, rounds=rounds) for name, each in ms.items()
        }
        when = observed_at or "2026-11-20T09:00:00+00:00"
        self.seen.races[purpose] = RaceResult(
            race=f"race-{purpose}", observed_at=when, profiles=profiles, failed={}, reused=reused
        )

    def resides(self, name: str, basis: str, **shares: float) -> None:
        self.seen.residency[name] = Residency.model_validate(
            {"basis": basis, "layers": (), "mac_share": shares, "time_share": None}
        )
