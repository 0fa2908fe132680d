"""Who plays the desktop GPU: a real one that was measured here, a dated record of one, or nobody, with the command that would.

A role is never played by a number that was not measured: where there is neither GPU nor record, its latency is MISSING.
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
    """One file in ``baselines/``, schema edgecnn.baseline/1: what one real GPU did on one day.

    ``latency`` and ``throughput`` are of the reference, in fp32 with TF32 off.
    """

    schema_: Literal["edgecnn.baseline/1"] = Field(default="edgecnn.baseline/1", alias="schema")
    device: str
    """The device file of the GPU that was really there."""
    arch: str
    resolution_px: Resolution
    precision: Literal["fp32"] = "fp32"
    latency: Latency
    """Of the reference, eager fp32."""
    how: str
    """What ran: runtime, precision, batch, and whether copies to and from the GPU are inside."""
    throughput: Throughput | None = None
    variants: tuple[BaselineVariant, ...] = ()
    """Other ways of the same day; without accuracy, which is of the network that was trained then and of its images."""
    source: str
    """Which build made it, and its versions."""


class BaselineQuestion(Value):
    """What the baseline has to be comparable with."""

    device: str
    """The device file that states the role, such as ``rtx-4090``."""
    arch: str
    resolution_px: Resolution
    accuracy_machine: str
    """Where the fp32 baseline network was evaluated."""
    failure: str | None = None
    """Why a GPU that is in this machine could not take the part."""
    command: str | None = None
    """What would measure the role, where anything here can."""


def baseline_facts(
    question: BaselineQuestion, *, local: BaselineRecord | None = None, records: Sequence[BaselineRecord] = ()
) -> BaselineFacts:
    """The role's figures: a GPU of this machine first, then the newest record of the same network and resolution.

    Args:
        question: the network, resolution and role.
        local: what a GPU of this machine measured, filed under what it really is; it need not be the role's model.
        records: the files of ``baselines/``, their dates checked; of these only the role's own device counts, because a
            record of another GPU is no news about this one.
    """
    accuracy_from = f"accuracy is that of the fp32 network on {question.accuracy_machine}"
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
