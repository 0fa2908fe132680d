"""The source of the desktop-GPU baseline: a GPU measured here, a dated record, or neither, with the command that measures it.

Only measured figures are used: without a GPU and a record, latency is MISSING.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import Field

from edgecnn.values.base import Value, utc_moment
from edgecnn.values.figures import Throughput
from edgecnn.values.preprocessing import Resolution
from edgecnn.values.report import BaselineFacts, BaselineVariant, Latency
from edgecnn.values.verdict import Fidelity


class BaselineRecord(Value):
    """One file in ``baselines/``, schema edgecnn.baseline/1: measurements of one real GPU on one day.

    ``latency`` and ``throughput`` are those of the reference, in fp32 with TF32 off.
    """

    schema_: Literal["edgecnn.baseline/1"] = Field(default="edgecnn.baseline/1", alias="schema")
    device: str
    """The device file of the measured GPU."""
    arch: str
    resolution_px: Resolution
    precision: Literal["fp32"] = "fp32"
    latency: Latency
    """Latency of the reference, eager fp32."""
    how: str
    """What ran: runtime, precision, batch, and whether copies to and from the GPU are included."""
    throughput: Throughput | None = None
    variants: tuple[BaselineVariant, ...] = ()
    """Other variants of the same day, without accuracy, which belongs to the network and images of then."""
    source: str
    """The build that made it, and its versions."""


class BaselineQuestion(Value):
    """The network and role that the baseline has to match."""

    device: str
    """The device file of the role, such as ``rtx-4090``."""
    arch: str
    resolution_px: Resolution
    accuracy_machine: str
    """Machine on which the fp32 baseline network was evaluated."""
    failure: str | None = None
    """Why a GPU of this machine could not be used."""
    command: str | None = None
    """The command that measures the role, if anything here can."""


def baseline_facts(
    question: BaselineQuestion, *, local: BaselineRecord | None = None, records: Sequence[BaselineRecord] = ()
) -> BaselineFacts:
    """Return the baseline's figures: from a GPU of this machine, else from the newest record of the same network and resolution.

    Args:
        question: the network, resolution and role.
        local: measurements of a GPU of this machine, stored under its real model, which may differ from the role's.
        records: the files of ``baselines/``, with checked dates; only the role's own device counts.
    """
    accuracy_from = f"accuracy from the fp32 network on {question.accuracy_machine}"
    fitting = [record for record in records if record.device == question.device and _fits(record, question)]
    played = local if local is not None and _fits(local, question) else max(fitting, key=_moment, default=None)
    if played is None:
        nobody = question.failure or f"no {question.device} here"
        reason = f"{nobody}, and there is no dated record of {question.arch} at {question.resolution_px} px"
        remedy = f"; to measure it: {question.command}" if question.command else ""
        latency = Latency(reason=reason + remedy, machine=question.device)
        return BaselineFacts(device=question.device, accuracy_from=accuracy_from, latency=latency)
    return BaselineFacts(
        device=played.device,
        accuracy_from=accuracy_from,
        latency=played.latency,
        how=played.how,
        throughput=played.throughput,
        variants=played.variants,
    )


def _fits(record: BaselineRecord, question: BaselineQuestion) -> bool:
    fitting = (question.arch, question.resolution_px)
    return (record.arch, record.resolution_px) == fitting and record.latency.fidelity is Fidelity.MEASURED


def _moment(record: BaselineRecord) -> datetime:
    return utc_moment(record.latency.observed_at)
