"""Reports and times of searches as tests make them."""

from __future__ import annotations

from typing import Any

from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.values.fit import FitReport, Member, TableUsed
from edgecnn.values.profile import Environment, Profile, Run
from edgecnn.values.verdict import Fidelity

USED = TableUsed(file="pi.json", machine="a board", observed_at="2026-11-23", networks=30, fidelity=Fidelity.EMULATED)


def report(*members: Member, **more: Any) -> FitReport:
    facts: dict[str, Any] = {
        "version": "0.1.0",
        "family": "mobilenet-v2",
        "device": "cpu",
        "attached": True,
        "machine": "here",
        "within": {"p50_ms": 5.0},
        "table": USED,
        "trials": (),
        "members": members,
        "front": ("a",),
        "rank_correlation": None,
        "teacher": None,
        "shipped": "a",
        "state": "settled",
        "why": "it is the one",
        "seconds": 1.0,
        "command": "edgecnn fit",
    }
    return FitReport(**{**facts, **more})


def timed(lab: Lab, kit: KitRef, environment: Environment, ns: int, rounds: int) -> Profile:
    """A kit that took so long each time."""
    runs = tuple(
        Run(round=number, position=0, samples_ns=(ns,) * 5, load_ns=1, first_ns=1, warmup_ns=(), started_at="now")
        for number in range(rounds)
    )
    return lab.profile(kit, environment, what="race", race="r", purpose="table", runs=runs)
