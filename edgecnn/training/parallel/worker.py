"""One of several processes that train one network, started by torchrun: ``python -m edgecnn.training.parallel.worker FOLDER``.

What it meets that would be met again (a loss that is no number, a picture that is gone, a full disk, memory that runs out) it
writes down and ends as if all were well, so that torchrun does not begin it anew; whatever else ends it, a kill above all, is
begun anew.
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
from edgecnn.training.beginning import beginner, material_for, pretrained, taught, unlearned
from edgecnn.training.loop import PhaseResult, run_phase
from edgecnn.training.memory import Learners, within_memory
from edgecnn.training.parallel.team import Team
from edgecnn.training.parallel.torchrun import JobFolder, SharedJob, threads_each
from edgecnn.training.process import repeatable


class Teller:
    """Progress of the first process, as lines of a file; of the others nothing is heard."""

    def __init__(self, file: Path, *, leads: bool) -> None:
        self._file, self._leads = file, leads

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        """Write it down."""
        self._write("step", what, done, total, unit)

    def note(self, text: str) -> None:
        """Write it down."""
        self._write("note", text)

    def begin(self, step_id: str) -> None:
        """The step's own process has begun it."""

    def plot(self, phase: str, epoch: int, figures: Mapping[str, float]) -> None:
        """Write it down."""
        self._write("plot", phase, epoch, dict(figures))

    def _write(self, name: str, *values: Any) -> None:
        if self._leads:
            with self._file.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps([name, values]) + "\n")


def main(root: Path) -> None:
    """Take part in the training that ``root`` describes, in the place that torchrun gave in the environment."""
    threading.Thread(target=_end_with_who_started, daemon=True).start()
    folder = JobFolder(root)
    if folder.failure.exists():
        return
    reserved = folder.reserve()
    try:
        _take_part(folder)
    except EdgecnnError as error:
        folder.fail(reserved, error.kept())
    except Exception as error:
        refused = _refused_by_system(error)
        if refused is None:
            raise
        folder.fail(reserved, {"system": refused})


def _refused_by_system(error: Exception) -> tuple[int | None, str, str | None] | None:
    """Error number, words and file where the system refused what it would refuse again; None for all else."""
    if not isinstance(error, OSError) or isinstance(error, (ConnectionError, TimeoutError)):
        return None
    return error.errno, error.strerror or str(error), None if error.filename is None else os.fsdecode(error.filename)


def _take_part(folder: JobFolder) -> None:
    job = SharedJob.model_validate_json(folder.job.read_bytes())
    begun = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
    team = Team(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    tell = Teller(folder.told, leads=team.leads)
    if begun:
        tell.note(f"a training process was lost; all {team.size} began again from the last epoch that was kept")
    meeting = folder.meeting.with_suffix(f".{begun}")
    # A path as it is, where init_method would read a URL.
    store = torch.distributed.FileStore(str(meeting), team.size)  # type: ignore[attr-defined]
    torch.distributed.init_process_group("gloo", store=store, rank=team.rank, world_size=team.size)
    with repeatable(threads_each(job.settings)):
        result = _trained(job, folder, team, tell)
    if team.leads:
        best = None if result.best is None else result.best.model_dump()
        facts = {"epochs": [epoch.model_dump() for epoch in result.epochs], "best": best, "stopped": result.stopped}
        write_text_atomically(folder.result, json.dumps(facts))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def _trained(job: SharedJob, folder: JobFolder, team: Team, tell: Teller) -> PhaseResult:
    settings, inputs = job.settings, job.inputs
    spec = arch_named(settings.arch)
    finetunes = settings.mode == "finetune"
    network = pretrained(spec, settings.classes, settings.seed, inputs) if finetunes else unlearned(spec, settings, inputs)
    network.load_state_dict(load_file(folder.start))
    network, head, phase, groups = beginner(settings, network)
    material = taught(settings, inputs, material_for(settings, inputs, job.folder, tell))
    material = material._replace(groups=groups, team=team)
    with within_memory(network, phase, len(material.decoded), Learners(team.size)):
        return run_phase(network, head, phase, material, to_beat=job.to_beat)


def _end_with_who_started() -> None:
    """Nobody else may be let into the folder while this one still writes there; as if all were well, so that none begins anew."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
