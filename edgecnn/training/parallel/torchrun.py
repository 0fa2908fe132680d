"""Train one network in several processes: start them under torchrun, watch them, and read their result.

The stage's process decodes, computes features, trains heads and writes the stage's files. Only the phase that trains the whole
network is shared. If a process is lost, torchrun stops the others and restarts all of them from the last checkpoint.

No process listens beyond this machine: the processes meet through a file, and gloo connects them over the loopback interface.
They stop when the process that started them ends, because that closes their standard input.
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

from edgecnn.data.cutouts import training_images
from edgecnn.errors.base import error_again
from edgecnn.errors.training import (
    NO_DISTRIBUTED_TORCH,
    TOO_MANY_PROCESSES,
    batch_too_small_to_share,
    processes_lost,
)
from edgecnn.training.beginning import TrainingInputs
from edgecnn.training.checkpoint import write_tensors
from edgecnn.training.history import BestFacts, EpochFacts
from edgecnn.training.loop import PhaseResult
from edgecnn.training.parallel.team import LEAST_IMAGES
from edgecnn.training.schedule import Phase
from edgecnn.training.settings import TrainSettings, batch_count
from edgecnn.values.base import Value
from edgecnn.values.stage import Plotting, Progress

RESTARTS = 3
"""Maximum number of restarts after a process was lost."""
_POLL_S = 0.1
_STOP_TIMEOUT_S = 10.0


def require_team(settings: TrainSettings, inputs: TrainingInputs) -> None:
    """Refuse a training that several processes cannot share, before it starts.

    Raises:
        NO_DISTRIBUTED_TORCH: this build of torch has no gloo.
        TOO_MANY_PROCESSES: there are more processes than threads.
        BATCH_TOO_SMALL_TO_SHARE: a process would get too few images of a batch.
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
    """Train ``network`` as ``run_phase`` does, in several processes, and write the best epoch's weights to the same file.

    Raises:
        PROCESSES_LOST: a process was lost too often.
        TRAINING_DIVERGED, BATCH_TOO_LARGE, EdgecnnError: the error of a process.
        OSError: the system error of a process, such as a full disk.
    """
    folder = JobFolder(job.folder / "together")
    shutil.rmtree(folder.root, ignore_errors=True)
    folder.root.mkdir()
    write_tensors(network.state_dict(), folder.start)
    folder.job.write_text(job.model_dump_json(), encoding="utf-8")
    with _running_torchrun(job, folder) as torchrun:
        heard = 0
        while torchrun.poll() is None:
            time.sleep(_POLL_S)
            heard = _forward_progress(folder.told, heard, tell)
        _forward_progress(folder.told, heard, tell)
    if folder.failure.exists():
        raise _error_from(json.loads(folder.failure.read_text("utf-8")))
    if torchrun.returncode != 0 or not folder.result.exists():
        raise processes_lost(
            processes=job.settings.processes, restarts=RESTARTS, last_line=_failure_line(folder.log), phase=phase.name
        )
    result = json.loads(folder.result.read_text("utf-8"))
    epochs = tuple(EpochFacts.model_validate(epoch) for epoch in result["epochs"])
    best = None if result["best"] is None else BestFacts.model_validate(result["best"])
    return PhaseResult(epochs, best, result["stopped"])


def _error_from(kept: dict[str, Any]) -> Exception:
    if "system" not in kept:
        return error_again(kept)
    number, words, file = kept["system"]
    return OSError(words) if number is None else OSError(number, words, file)


@contextmanager
def _running_torchrun(job: SharedJob, folder: JobFolder) -> Iterator[subprocess.Popen[bytes]]:
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
            start_new_session=True,  # Ctrl-C reaches only the process that started it, which then stops it
        )
    try:
        yield torchrun
    finally:
        if torchrun.stdin is not None:
            torchrun.stdin.close()
        torchrun.terminate()
        try:
            torchrun.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            torchrun.kill()
            torchrun.wait()


def threads_each(settings: TrainSettings) -> int:
    """Return the number of threads of each process."""
    return max(1, settings.threads // settings.processes)


def _environment(settings: TrainSettings) -> dict[str, str]:
    """Return the environment of torchrun. The user's values for gloo and OpenMP take precedence."""
    package = str(Path(__file__).resolve().parents[2])
    paths = [package, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {
        "GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo",
        "OMP_WAIT_POLICY": "PASSIVE",
        **os.environ,
        "OMP_NUM_THREADS": str(threads_each(settings)),
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONSAFEPATH": "1",
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",  # otherwise torchrun listens on all interfaces
    }


def _forward_progress(file: Path, heard: int, tell: Progress) -> int:
    """Report complete progress lines after the first ``heard`` bytes, and return the number of bytes that were reported."""
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


def _failure_line(log: Path) -> str:
    """Return the log's most informative line about a failure: an exception, or else an exit code, or else the last line."""
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    errors = [line for line in lines if "Error: " in line and "ChildFailedError" not in line]
    signals = [line for line in lines if "exitcode" in line]
    return (errors or signals or lines or ["nothing"])[-1]


class SharedJob(Value):
    """Description of the training for each process."""

    settings: TrainSettings
    """Settings with the chosen transfer."""
    inputs: TrainingInputs
    folder: Path
    """Folder of decoded images, checkpoints and best weights."""
    to_beat: float
    """See ``run_phase``."""


class JobFolder:
    """Files through which the processes and the process that started them communicate."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.job, self.start = root / "job.json", root / "start.safetensors"
        self.told, self.log = root / "told.jsonl", root / "torchrun.log"
        self.failure, self.result = root / "failure.json", root / "result.json"
        self.meeting = root / "meeting"
        """Rendezvous file of torchrun. Each restart of the processes has another one, with a suffix."""

    def reserve(self) -> Path:
        """Reserve disk space in which ``fail`` can write an error even if the disk is full."""
        reserved = self.failure.with_suffix(f".{os.getpid()}")
        reserved.write_text(" " * 16_384, encoding="utf-8")
        return reserved

    def fail(self, reserved: Path, facts: object) -> None:
        """Write the error of this process over the reserved blanks, and rename the file."""
        with reserved.open("r+b") as stream:
            stream.write(json.dumps(facts).encode())
        reserved.replace(self.failure)
