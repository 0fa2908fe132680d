"""One of several processes that train one network, started by torchrun: ``python -m edgecnn.training.parallel.worker FOLDER``.

An error that would occur again (a loss that is not finite, a missing image, a full disk, too little memory) is written to a file,
and the process exits with 0, so that torchrun does not restart it. After any other failure, such as a kill, torchrun restarts all
processes.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch.distributed
from safetensors.torch import load_file

from edgecnn.errors.base import EdgecnnError
from edgecnn.models.catalogue import arch_named
from edgecnn.store.disk import write_text_atomically
from edgecnn.training.beginning import material_for, prepare_phase, pretrained_network, random_network, with_teacher
from edgecnn.training.loop import PhaseResult, run_phase
from edgecnn.training.memory import TrainingProcesses, within_memory
from edgecnn.training.parallel.team import Team
from edgecnn.training.parallel.torchrun import JobFolder, SharedJob, threads_each
from edgecnn.training.process import repeatable


class Teller:
    """Progress of the leading process, written as lines of a file. Other processes write none."""

    def __init__(self, file: Path, *, leads: bool) -> None:
        self._file, self._leads = file, leads

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        """Write the step."""
        self._write("step", what, done, total, unit)

    def note(self, text: str) -> None:
        """Write the note."""
        self._write("note", text)

    def begin(self, step_id: str) -> None:
        """Ignore the start of a step, which its own process reports."""

    def plot(self, phase: str, epoch: int, figures: Mapping[str, float]) -> None:
        """Write the figures."""
        self._write("plot", phase, epoch, dict(figures))

    def _write(self, name: str, *values: Any) -> None:
        if self._leads:
            with self._file.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps([name, values]) + "\n")


def main(root: Path) -> None:
    """Run this process's part of the training in ``root``, with the rank in torchrun's environment."""
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    folder = JobFolder(root)
    if folder.failure.exists():
        return
    reserved = folder.reserve()
    try:
        _join_training(folder)
    except EdgecnnError as error:
        folder.fail(reserved, error.kept())
    except Exception as error:
        refused = _system_error(error)
        if refused is None:
            raise
        folder.fail(reserved, {"system": refused})


def _system_error(error: Exception) -> tuple[int | None, str, str | None] | None:
    """Return number, message and file of a system error that would occur again, or None."""
    if not isinstance(error, OSError) or isinstance(error, (ConnectionError, TimeoutError)):
        return None
    return error.errno, error.strerror or str(error), None if error.filename is None else os.fsdecode(error.filename)


def _join_training(folder: JobFolder) -> None:
    job = SharedJob.model_validate_json(folder.job.read_bytes())
    begun = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
    team = Team(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    tell = Teller(folder.told, leads=team.leads)
    if begun:
        tell.note(f"a training process was lost; all {team.size} began again from the last epoch that was kept")
    meeting = folder.meeting.with_suffix(f".{begun}")
    # The store takes any path; init_method would parse a URL.
    store = torch.distributed.FileStore(str(meeting), team.size)  # type: ignore[attr-defined]
    torch.distributed.init_process_group("gloo", store=store, rank=team.rank, world_size=team.size)
    with repeatable(threads_each(job.settings)):
        result = _train(job, folder, team, tell)
    if team.leads:
        best = None if result.best is None else result.best.model_dump()
        facts = {"epochs": [epoch.model_dump() for epoch in result.epochs], "best": best, "stopped": result.stopped}
        write_text_atomically(folder.result, json.dumps(facts))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def _train(job: SharedJob, folder: JobFolder, team: Team, tell: Teller) -> PhaseResult:
    settings, inputs = job.settings, job.inputs
    spec = arch_named(settings.arch)
    finetunes = settings.mode == "finetune"
    network = (
        pretrained_network(spec, settings.classes, settings.seed, inputs) if finetunes else random_network(spec, settings, inputs)
    )
    network.load_state_dict(load_file(folder.start))
    network, head, phase, groups = prepare_phase(settings, network)
    material = with_teacher(settings, inputs, material_for(settings, inputs, job.folder, tell))
    material = material._replace(groups=groups, team=team)
    with within_memory(network, phase, len(material.decoded), TrainingProcesses(team.size)):
        return run_phase(network, head, phase, material, to_beat=job.to_beat)


def _exit_with_parent() -> None:
    """Exit when the process that started the training ends, because another process may then use the folder.

    The exit code is 0, so that torchrun does not restart this process.
    """
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
