"""The whole examination, in the order in which it is told."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import edgecnn
from edgecnn.building.devices import local_facts
from edgecnn.building.doctor.attached import device_facts, gpu_fact
from edgecnn.building.doctor.machine import machine_fact, python_fact
from edgecnn.building.doctor.needs import answered, check_needs
from edgecnn.building.doctor.parts import packages_of
from edgecnn.building.doctor.storage import disk_facts, store_fact
from edgecnn.building.doctor.trying import LEASE_S, Trials
from edgecnn.hosts.local import LocalHost
from edgecnn.runner.sensors import gpu_models
from edgecnn.values.doctor import DoctorReport
from edgecnn.values.stage import Progress


def examine(tell: Progress, needs: Sequence[str] = (), lease_s: float = LEASE_S) -> DoctorReport:
    """Look at this machine and try what is installed. What fails is in the report; nothing is changed, and nothing is kept.

    Args:
        tell: hears which part is being tried.
        needs: names as ``need_names`` has them; each is answered in the report.
        lease_s: how long a part may say nothing before it is taken to hang.

    Raises:
        UnknownNeed: before anything is tried.
    """
    wanted = check_needs(needs)
    began = time.monotonic()
    listed = tuple(gpu_models())
    trials = Trials(tell, listed, lease_s)
    parts = trials.parts()
    gpu = gpu_fact(listed, trials.torch_gpus, parts)
    report = DoctorReport(
        edgecnn=edgecnn.__version__,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        python=python_fact(),
        packages=packages_of(),
        machine=machine_fact(),
        environment=LocalHost().identify(),
        disks=disk_facts(),
        store=store_fact(tell),
        parts=parts,
        gpu=gpu,
        devices=device_facts(local_facts(), parts, gpu),
        seconds=round(time.monotonic() - began, 1),
    )
    return answered(report, wanted)
