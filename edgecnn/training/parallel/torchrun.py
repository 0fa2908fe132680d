"""Several processes train one network: they are started under torchrun, watched, and their result is taken over.

The stage's own process stays what it is: it decodes, computes features, trains heads and writes what the stage makes. Only the
phase in which the whole network learns is shared. Where a process is lost, torchrun ends the others and begins all of them anew,
and they go on from the last epoch that was kept, as after any kill.

Nothing listens beyond this machine: the processes meet through a file, and gloo's connections between them are on the loopback
interface. They end when the process that started them does, whose end closes their standard input.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgecnn.data.composed import training_images
from edgecnn.errors.base import error_again
from edgecnn.errors.training import (
    NO_DISTRIBUTED_TORCH,
    TOO_MANY_PROCESSES,
    batch_too_small_to_share,
    processes_lost,
)
from edgecnn.training.batches import batch_count
from edgecnn.training.beginning import TrainingInputs
from edgecnn.training.checkpoint import write_tensors
from edgecnn.training.history import BestFacts, EpochFacts
from edgecnn.training.loop import PhaseResult
from edgecnn.training.parallel.team import LEAST_IMAGES
from edgecnn.training.schedule import Phase
from edgecnn.training.settings import TrainSettings
from edgecnn.values.base import Value
from edgecnn.values.stage import Plotting, Progress

RESTARTS = 3
"""How often all begin anew after one was lost."""
_EVERY_S = 0.1
_TIMEOUT_S = 10.0
"""For torchrun to end after it was asked to."""


def require_team(settings: TrainSettings, inputs: TrainingInputs) -> None:
    """Refuse what several processes could not share, before any time is spent.

    Raises:
        NO_DISTRIBUTED_TORCH: this build of torch cannot.
        TOO_MANY_PROCESSES: there are more of them than threads.
        BATCH_TOO_SMALL_TO_SHARE: some would be shown too little.
        MANIFEST_UNREADABLE: see ``training_images``.
    """
    processes = settings.processes
    if processes == 1:
        return
    if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
        raise NO_DISTRIBUTED_TORCH(version=torch.__version__)
    if processes > settings.threads:
        raise TOO_MANY_PROCESSES(asked=processes, threads=settings.threads)
    images = len(training_images(inputs.images, inputs.made).training_entries())
    smallest = images // batch_count(images, settings.batch_size)
    if smallest // processes < LEAST_IMAGES:
        raise batch_too_small_to_share(processes=processes, images=smallest, least=LEAST_IMAGES)


def run_distributed(job: SharedJob, network: nn.Module, phase: Phase, tell: Progress) -> PhaseResult:
    """Train ``network`` as ``run_phase`` does, by several processes; the best epoch's weights are left in the same file.

    Raises:
        PROCESSES_LOST: one was lost again and again.
        TRAINING_DIVERGED, BATCH_TOO_LARGE, EdgecnnError: what a process met, as if it had been met here.
        OSError: the system refused one of them something, for instance because the disk is full.
    """
    folder = JobFolder(job.folder / "together")
    shutil.rmtree(folder.root, ignore_errors=True)
    folder.root.mkdir()
    write_tensors(network.state_dict(), folder.start)
    folder.job.write_text(job.model_dump_json(), encoding="utf-8")
    with _started(job, folder) as torchrun:
        heard = 0
        while torchrun.poll() is None:
            time.sleep(_EVERY_S)
            heard = _passed_on(folder.told, heard, tell)
        _passed_on(folder.told, heard, tell)
    if folder.failure.exists():
        raise _failure(json.loads(folder.failure.read_text("utf-8")))
    if torchrun.returncode != 0 or not folder.result.exists():
        raise processes_lost(
            processes=job.settings.processes, restarts=RESTARTS, last_line=_last_words(folder.log), phase=phase.name
        )
    result = json.loads(folder.result.read_text("utf-8"))
    epochs = tuple(EpochFacts.model_validate(epoch) for epoch in result["epochs"])
    best = None if result["best"] is None else BestFacts.model_validate(result["best"])
    return PhaseResult(epochs, best, result["stopped"])


def _failure(kept: dict[str, Any]) -> Exception:
    if "system" not in kept:
        return error_again(kept)
    number, words, file = kept["system"]
    return OSError(words) if number is None else OSError(number, words, file)


@contextmanager
def _started(job: SharedJob, folder: JobFolder) -> Iterator[subprocess.Popen[bytes]]:
    command = [
        *(sys.executable, "-m", "torch.distributed.run"),
        *("--nnodes", "1", "--nproc-per-node", str(job.settings.processes), "--max-restarts", str(RESTARTS)),
        *("--rdzv-backend", "c10d", "--rdzv-id", "edgecnn", "--rdzv-endpoint", str(folder.meeting)),
        *("--rdzv-conf", "store_type=file", "--local-addr", "127.0.0.1", "--monitor-interval", "0.1"),
        *("-m", "edgecnn.training.parallel.worker", str(folder.root)),
    ]
    with folder.log.open("wb") as log:
        torchrun = subprocess.Popen(
            command,
            env=_environment(job.settings),
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the process that started it, which ends it in order
        )
    try:
        yield torchrun
    finally:
        if torchrun.stdin is not None:
            torchrun.stdin.close()
        _ended(torchrun)


def _ended(torchrun: subprocess.Popen[bytes]) -> None:
    torchrun.terminate()
    try:
        torchrun.wait(_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        torchrun.kill()
        torchrun.wait()


def threads_each(settings: TrainSettings) -> int:
    """Every process gets its share of the threads."""
    return max(1, settings.threads // settings.processes)


def _environment(settings: TrainSettings) -> dict[str, str]:
    """What a user has set of gloo and OpenMP's waiting stays."""
    package = str(Path(__file__).resolve().parents[2])
    paths = [package, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {
        "GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo",
        "OMP_WAIT_POLICY": "PASSIVE",
        **os.environ,
        "OMP_NUM_THREADS": str(threads_each(settings)),
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONSAFEPATH": "1",
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",  # else torchrun listens on all interfaces
    }


def _passed_on(file: Path, heard: int, tell: Progress) -> int:
    """Report whole lines after the first ``heard`` bytes, and say how many bytes are heard now."""
    if not file.exists():
        return heard
    with file.open("rb") as stream:
        stream.seek(heard)
        new = stream.read()
    whole = new[: new.rfind(b"\n") + 1]
    for line in whole.splitlines():
        name, values = json.loads(line)
        if name != "plot" or isinstance(tell, Plotting):
            getattr(tell, name)(*values)
    return heard + len(whole)


def _last_words(log: Path) -> str:
    """The line of the log that says most of why: the last of an exception, else what torchrun says last."""
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    errors = [line for line in lines if "Error: " in line and "ChildFailedError" not in line]
    signals = [line for line in lines if "exitcode" in line]
    return (errors or signals or lines or ["nothing"])[-1]


class SharedJob(Value):
    """What each process builds the same training from."""

    settings: TrainSettings
    """With the transfer that was settled on."""
    inputs: TrainingInputs
    folder: Path
    """That holds decoded images, checkpoints and the best weights."""
    to_beat: float
    """See ``run_phase``."""


_ROOM = 16_384
"""Bytes kept for what a failure says."""


class JobFolder:
    """Where the processes and who started them leave each other files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.job, self.start = root / "job.json", root / "start.safetensors"
        self.told, self.log = root / "told.jsonl", root / "torchrun.log"
        self.failure, self.result = root / "failure.json", root / "result.json"
        self.meeting = root / "meeting"
        """torchrun's own; each beginning of the processes has another one beside it."""

    def reserve(self) -> Path:
        """Room for a failure that is written down when the disk is full; ``fail`` takes it."""
        reserved = self.failure.with_suffix(f".{os.getpid()}")
        reserved.write_text(" " * _ROOM, encoding="utf-8")
        return reserved

    def fail(self, reserved: Path, facts: object) -> None:
        """Write down what ended this process, whole, over the blanks that are there."""
        with reserved.open("r+b") as stream:
            stream.write(json.dumps(facts).encode())
        reserved.replace(self.failure)
