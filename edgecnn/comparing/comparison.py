"""HEAD judged against BASE. BASE runs in the same race, or its runs were recorded on other days."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, NamedTuple

import edgecnn
from edgecnn.building.rows import candidate_facts, reported, thresholds_of
from edgecnn.errors.comparing import DEVICES_DIFFER
from edgecnn.judging.gates import EffectiveGates
from edgecnn.judging.judgement import Compared, judge_row
from edgecnn.judging.metrics import COMPARED, exactly
from edgecnn.judging.runs.latency import latency
from edgecnn.judging.runs.ratio import RatioFinding
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.subject import Subject
from edgecnn.results.origin import changes
from edgecnn.results.shipped import ShippedKit
from edgecnn.values.candidate import Knobs
from edgecnn.values.report import CandidateFacts, Comparison, Latency, Origin, ShippedKitFacts

NOT_RACED = "not raced, because HEAD and BASE are the same files"
IDENTICAL = "HEAD and BASE ship the same kit, byte for byte: the drop is 0 and the latency ratio is 1 by definition"


class Sides(NamedTuple):
    """The two sides of a comparison."""

    how: Literal["paired", "unpaired"]
    head: ShippedKit
    base: ShippedKitFacts
    base_origin: Origin
    identical: bool
    """Both sides ship the same files, so that the drop is 0 and the ratio 1 by definition."""


def comparison_subject(head: ShippedKit, lab: Lab, base: KitRef | None = None) -> Subject:
    """The subject of a comparison, with a row for HEAD. ``base``: BASE's kit; None: BASE is not measured here."""
    kits = {"HEAD": head.kit, **({} if base is None else {"BASE": base})}
    row = head.row
    return Subject(
        lab=lab,
        reference="BASE",
        listed={"HEAD": head.kit.candidate},
        kits=kits,
        answering=dict(kits),
        residency={} if row is None or row.residency is None else {"HEAD": row.residency},
    )


def require_same_device(head: ShippedKitFacts, base: ShippedKitFacts) -> None:
    """Refuse sides that were built for two devices, unless both ship the same kit. A bundle alone names no device.

    Raises DEVICES_DIFFER.
    """
    if None not in (head.device, base.device) and head.device != base.device and head.kit != base.kit:
        raise DEVICES_DIFFER(head=head.device, base=base.device)


def must_race(gates: EffectiveGates, *, identical: bool) -> bool:
    """Whether HEAD has to run. Identical sides are raced only for a bound on HEAD's own latency or memory."""
    own = (COMPARED[gate.metric] for gate in gates.gates if COMPARED[gate.metric].identical is None)
    return not identical or any(metric.source in ("latency", "memory") for metric in own)


def comparison(
    sides: Sides, subject: Subject, finding: RatioFinding, gates: EffectiveGates, common: Subject | None = None
) -> Comparison:
    """Judge HEAD. ``common``: the subject on the images that both test splits hold; None if the splits are the same.

    The caller adds the notices and the seconds.
    """
    head, identical = sides.head, sides.identical
    if finding.absent is not None:
        subject.absent.update(latency=finding.absent, memory=finding.absent)
    row, common_row = _row(head, subject), None if common is None else _row(head, common)
    now, before = subject.against.get("HEAD"), subject.against.get("BASE")
    answered = (row if common_row is None else common_row).answered
    equally_right = identical and row.broken is None
    multi_label = thresholds_of(head.kit) is not None
    judged = judge_row(row, gates, subject.absent, Compared(finding, identical, multi_label, head.row, common_row))
    assert row.latency is not None
    return Comparison(
        version=edgecnn.__version__,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        how=sides.how,
        head=head.facts,
        base=sides.base,
        identical=identical,
        machine=subject.lab.machine,
        environment=subject.lab.environment_of(head.kit) if now is None else now.environment,
        rounds=0 if now is None else len(now.runs),
        ratio=exactly(1.0) if identical else finding.ratio,
        latency=row.latency,
        base_latency=(
            Latency(reason=finding.absent, machine=subject.lab.machine)
            if before is None
            else latency(before, machine=before.host)
        ),
        drop_pp=exactly(0.0) if equally_right else None if answered is None else answered.drop_pp,
        drop_of="mAP" if multi_label else "top-1",
        drop_absent=None if equally_right else subject.absent.get("accuracy"),
        verdict=judged.verdict,
        gates=judged.gates,
        changed=tuple(map(str, changes(sides.base_origin, head.origin))),
        seconds=0.0,
    )


def _row(head: ShippedKit, subject: Subject) -> CandidateFacts:
    row = reported(candidate_facts(subject), subject)["HEAD"]
    saturates_on = None if head.row is None else head.row.saturates_on
    return row.model_copy(update={"evaluated_kit": head.evaluated_kit, "saturates_on": saturates_on})


def knob_notices(*sides: tuple[str, ShippedKitFacts]) -> list[str]:
    """One sentence for each side that runs with other settings than the default, as its bundle says."""
    return [f"{name} runs with {side.knobs.words}, as its build chose" for name, side in sides if side.knobs != Knobs()]
