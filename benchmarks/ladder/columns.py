"""Makes what races: ours from a 64 px build's rungs at 224 px, and each rival's files and answers, once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ladder.networks import AS_TRAINED, AtSide, Built, residency_of
from benchmarks.ladder.results import Column, Share
from benchmarks.ladder.rival import THREADS, Network, Rival
from benchmarks.ladder.rivals import BASE, RIVALS
from edgecnn.errors.base import EdgecnnError
from edgecnn.hosts.local import LocalHost
from edgecnn.hosts.protocol import Schedule, Task
from edgecnn.judging.accuracy import Answers, accuracy
from edgecnn.measure.kits import KitRef
from edgecnn.render.progress import Quiet
from edgecnn.values.candidate import Knobs
from edgecnn.values.figures import Accuracy
from edgecnn.values.stage import Progress

SAMPLES = 100
WARMUP_S = 0.3
MAX_S = 5.0
PACKAGES = ("torch", "onnxruntime", "openvino", "nncf")
"""Whose versions bind a rival's files, and stand with every result."""
_WAYS = ("rivals.py", "own_environments.py", "olive_pass.py", "executorch_way.py", "mnn_way.py")
_ROOT = Path(__file__).parents[2]
_MIB = 1024 * 1024
_TIMEOUT_S = 1200


FAILURES = (RuntimeError, EdgecnnError, OSError, ValueError, LookupError, subprocess.TimeoutExpired)
"""What a column may end with, and only that column: a refusal, a hang, a process that leaves no line or no file."""


@dataclass(frozen=True)
class Entrant:
    """A column and what runs one fresh process of it: its samples, in nanoseconds."""

    column: Column
    run: Callable[[], list[int]] | None


def ours(built: Built, made: AtSide, work: Path, tell: Progress) -> list[Entrant]:
    """Every rung that the 64 px build climbed; those that it did not climb stand beside them with the reason."""
    entrants = []
    for row in built.report.candidates:
        kit = made.kits.get(row.candidate.id)
        residency = residency_of(kit, made, tell) if kit is not None else None
        column = Column(
            id=row.candidate.id,
            title=row.candidate.id,
            whose="edgecnn",
            accuracy=row.test,
            size_mib=kit.size_mib if kit is not None else None,
            residency=Share(macs=residency.mac_share, time=residency.time_share, bytes=residency.byte_share)
            if residency
            else None,
            verdict=row.verdict.value,
            reason=made.failed.get(row.candidate.id, row.reason),
            surgery=row.candidate.surgery.done if row.candidate.surgery else "",
        )
        entrants.append(Entrant(column, kit_run(kit, work) if kit is not None else None))
    for rung, why in built.report.skipped_rungs.items():
        entrants.append(Entrant(Column(id=rung, title=rung, whose="edgecnn", accuracy=None, reason=f"not climbed: {why}"), None))
    return entrants


def kit_run(kit: KitRef, work: Path) -> Callable[[], list[int]]:
    def run() -> list[int]:
        out = work / "run"
        shutil.rmtree(out, ignore_errors=True)
        item = {
            "kit": str(kit.folder.resolve()),
            "round": 0,
            "position": 0,
            "samples": SAMPLES,
            "warmup_s": WARMUP_S,
            "max_s": MAX_S,
            "knobs": Knobs(threads=THREADS).options,
        }
        task = Task(kit.folder, "bench", out=out, schedule=Schedule((item,), 120.0))
        LocalHost().run(task, lease_s=120, tell=Quiet())
        document = json.loads((out / "run-00000.json").read_text())
        if "error" in document:
            raise RuntimeError(document["error"]["what"])
        return list(document["samples_ns"])

    return run


def networks_of(built: Built, made: AtSide, pythons: Mapping[str, str]) -> tuple[Network, Network]:
    """As a rival is given it: as trained, and at the resolution of the race.

    ``pythons``: fields of ``Network`` to the Pythons of rivals' own environments.
    """
    resolved = made.execution.plan.resolved
    normalization = resolved.preprocessing.normalization

    def at(suffix: str, side_px: int) -> Network:
        return Network(
            arch=resolved.arch.name,
            classes=len(resolved.data.classes),
            weights=str(made.folder(f"train{AS_TRAINED}") / "weights.safetensors"),
            onnx=str(made.folder(f"export{suffix}") / "model.onnx"),
            pixels=str(made.folder(f"prepare{suffix}")),
            mean=normalization.mean,
            std=normalization.std,
            side_px=side_px,
            **pythons,
        )

    return at(AS_TRAINED, built.report.build.resolution_px.short_px), at("", resolved.preprocessing.pixels.crop_px.short_px)


def rivals(trained: Network, raced: Network, work: Path, tell: Progress) -> list[Entrant]:
    """Every rival's files and answers, made where they are not there yet; one that fails stands with its error."""
    entrants: list[Entrant] = []
    for number, rival in enumerate(RIVALS):
        tell.note(f"{raced.arch}: {rival.title} ({number + 1} of {len(RIVALS)})")
        try:
            entrants.append(_rival(rival, trained, raced, work))
        except FAILURES as error:
            why = " ".join(str(error).split())[-300:]
            tell.note(f"{rival.title}: {why}")
            entrants.append(Entrant(Column(id=rival.id, title=rival.title, whose="rival", accuracy=None, reason=why), None))
    return entrants


def _rival(rival: Rival, trained: Network, raced: Network, work: Path) -> Entrant:
    if rival.python and not getattr(raced, rival.python):
        raise RuntimeError(f"not asked for: --{rival.python.removesuffix('_python')} names the Python of its environment")
    by = rival.needs or rival.id
    made = {network.side_px: _made(rival, by, network, work) for network in (trained, raced)}
    logits = work / rival.id / _identity(trained) / "logits.npy"
    logits.parent.mkdir(parents=True, exist_ok=True)
    if not logits.is_file():
        _worker("answer", rival, trained, made[trained.side_px], out=str(logits))
    size = sum((made[raced.side_px] / name).stat().st_size for name in rival.files) or Path(raced.onnx).stat().st_size
    reached = _accuracy(rival, trained, work)
    column = Column(id=rival.id, title=rival.title, whose="rival", accuracy=reached, size_mib=size / _MIB)
    ready = made[raced.side_px]
    timing = {"samples": SAMPLES, "warmup_s": WARMUP_S, "max_s": MAX_S}
    return Entrant(column, lambda: list(_worker("time", rival, raced, ready, **timing)["samples_ns"]))


def _made(rival: Rival, by: str, network: Network, work: Path) -> Path:
    folder = work / by / _identity(network)
    if by == rival.id and not (folder / "made.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "made.json").write_text(json.dumps(_worker("make", rival, network, folder)))
    return folder


def _identity(network: Network) -> str:
    """Of what the files are made from and with: store folders are named by their keys."""
    pythons = [network.olive_python, network.executorch_python, network.mnn_python]
    inputs = [network.onnx, network.pixels, pythons, {name: version(name) for name in PACKAGES}]
    ways = b"".join((Path(__file__).parent / name).read_bytes() for name in _WAYS)
    return hashlib.sha256(json.dumps(inputs).encode() + ways).hexdigest()[:12]


def _accuracy(rival: Rival, trained: Network, work: Path) -> Accuracy:
    """Against what the same ONNX file answers in fp32 in ONNX Runtime, image by image."""
    labels = np.load(Path(trained.pixels) / "test.labels.npy")
    shown = json.loads((Path(trained.pixels) / "pixels.json").read_text())["test"]

    def answers(name: str) -> Answers:
        return Answers(name, np.load(work / name / _identity(trained) / "logits.npy"), shown, "this machine")

    if rival.id == BASE:
        return accuracy(answers(BASE), labels, "test")
    if not (work / BASE / _identity(trained) / "logits.npy").is_file():
        _worker_for_base(trained, work)
    return accuracy(answers(rival.id), labels, "test", answers(BASE))


def _worker_for_base(trained: Network, work: Path) -> None:
    base = next(rival for rival in RIVALS if rival.id == BASE)
    folder = work / BASE / _identity(trained)
    folder.mkdir(parents=True, exist_ok=True)
    _worker("answer", base, trained, folder, out=str(folder / "logits.npy"))


def _worker(task: str, rival: Rival, network: Network, made: Path, **request: Any) -> dict[str, Any]:
    question = {"task": task, "rival": rival.id, "network": network._asdict(), "made": str(made), **request}
    file = made / f"asked-{os.getpid()}.json"
    file.write_text(json.dumps(question))
    there = rival.is_run_there and task != "make"
    python = getattr(network, rival.python) if there else sys.executable
    command = [python, "-m", "benchmarks.ladder.worker", str(file)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S, cwd=_ROOT)
    finally:
        file.unlink()
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1])
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer
