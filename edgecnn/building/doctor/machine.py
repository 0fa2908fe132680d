"""What this process may use of the machine: read from where every run reads its conditions, nothing guessed."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

from edgecnn.building.devices import LocalFacts, local_facts
from edgecnn.runner.cgroups import read_limits
from edgecnn.runner.environment import available_cores, read_conditions
from edgecnn.runner.procfs import ROOT
from edgecnn.runner.sensors import observe
from edgecnn.values.doctor import MachineFact, PythonFact


def python_fact() -> PythonFact:
    """The running interpreter."""
    return PythonFact(
        version=platform.python_version(),
        implementation=platform.python_implementation(),
        executable=sys.executable,
        in_virtual_environment=sys.prefix != sys.base_prefix,
    )


def machine_fact(root: Path = ROOT) -> MachineFact:
    """The processor and the limits of containers and services on this process.

    Args:
        root: where ``proc``, ``sys`` and ``etc`` are; another folder for recorded trees.
    """
    facts: LocalFacts = local_facts(root)
    limits, observed = read_limits(root), observe(root)
    available = observed.get("memory_available_mib")
    return MachineFact(
        architecture=facts.architecture,
        cpu=read_conditions(root=root).get("cpu"),
        isa=facts.isa,
        cores_online=os.cpu_count(),
        cores_allowed=facts.cores,
        cpu_limit=limits.cores,
        cores_used=available_cores(root),
        memory_mib=facts.memory_mib,
        memory_available_mib=None if available is None else int(available),
        memory_limit_mib=limits.memory_mib,
        limits_known=limits.known,
    )
