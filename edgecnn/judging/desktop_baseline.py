"""The figures of the desktop-GPU baseline: from a GPU measured here, else from a dated record.

Only measured figures are used: without a GPU and a record, latency is MISSING.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from edgecnn.values.base import Value, utc_moment
from edgecnn.values.figures import Throughput
from edgecnn.values.preprocessing import Resolution
from edgecnn.values.report import BaselineFacts, BaselineVariant, Latency
from edgecnn.values.verdict import Fidelity


class BaselineRecord(Value):
    """One file in ``baselines/``, schema edgecnn.baseline/1: measurements of one real GPU on one day.

    ``latency`` and ``throughput`` belong to the reference, in fp32 with TF32 off.
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
    """Runtime, precision and batch, and whether copies to and from the GPU are included."""
    throughput: Throughput | None = None
    variants: tuple[BaselineVariant, ...] = ()
    """Other variants measured on the same day, without accuracy, because their networks and images differ from the build's."""
    source: str
    """The build that made it, and its versions."""


class BaselineQuestion(Value):
    """The network and the GPU that a baseline has to match."""

    device: str
    """Device file of the GPU, such as ``rtx-4090``."""
    arch: str
    resolution_px: Resolution
    accuracy_machine: str
    """Machine on which the fp32 baseline network was evaluated."""
    failure: str | None = None
    """Why a GPU of this machine could not be used."""
    command: str | None = None
    """The command that measures such a GPU, if one is here."""


def baseline_facts(
    question: BaselineQuestion, *, local: BaselineRecord | None = None, records: Sequence[BaselineRecord] = ()
) -> BaselineFacts:
    """Return the baseline's figures: from a GPU of this machine, else from the newest record of the same network and resolution.

    Args:
        question: the network, its resolution and the GPU.
        local: measurements of a GPU of this machine, stored under its actual model, which may differ from ``question.device``.
        records: the files of ``baselines/``, with checked dates; only those of ``question.device`` count.
    """
    accuracy_from = f"accuracy from the fp32 network on {question.accuracy_machine}"
    fitting = [record for record in records if record.device == question.device and _fits(record, question)]
    newest = max(fitting, key=lambda record: utc_moment(record.latency.observed_at), default=None)
    record = local if local is not None and _fits(local, question) else newest
    if record is None:
        failure = question.failure or f"no {question.device} here"
        reason = f"{failure}, and there is no dated record of {question.arch} at {question.resolution_px} px"
        remedy = f"; to measure it: {question.command}" if question.command else ""
        latency = Latency(reason=reason + remedy, machine=question.device)
        return BaselineFacts(device=question.device, accuracy_from=accuracy_from, latency=latency)
    return BaselineFacts(
        device=record.device,
        accuracy_from=accuracy_from,
        latency=record.latency,
        how=record.how,
        throughput=record.throughput,
        variants=record.variants,
    )


def _fits(record: BaselineRecord, question: BaselineQuestion) -> bool:
    fitting = (question.arch, question.resolution_px)
    return (record.arch, record.resolution_px) == fitting and record.latency.fidelity is Fidelity.MEASURED
