"""The built members against each other: one race of what each ships, and what one gains over another image by image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.comparing.paired_answers import Unavailable, paired_answers
from edgecnn.judging.intervals import tango_drop_pp
from edgecnn.judging.runs.latency import latency
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import race
from edgecnn.measure.race_request import RaceRequest
from edgecnn.results.shipped import shipped_kit
from edgecnn.store.store import Store
from edgecnn.values.fit import Member
from edgecnn.values.recipe import RaceChoice
from edgecnn.values.verdict import Interval


def race_front(members: Sequence[Member], out: Path, choice: RaceChoice, lab: Lab) -> dict[str, Member]:
    """Each built member by its scale, with its p50 of one interleaved race of all; a kit that fails keeps that of its build."""
    kits = {each.scale: shipped_kit(out / each.build).kit for each in members if each.build is not None and each.candidate}
    if not kits:
        return {each.scale: each for each in members}
    asked = RaceRequest.of(choice, kits.values(), "report", anew=False)
    found = race(asked, lab).profiles
    times = {scale: latency(found[kit.entrant]) for scale, kit in kits.items() if kit.entrant in found}
    return {
        each.scale: each.model_copy(update={"p50_ms": times[each.scale].p50_ms, "fidelity": times[each.scale].fidelity})
        if each.scale in times
        else each
        for each in members
    }


def gain_pp(head: Path, base: Path, store: Store) -> Interval | str:
    """What HEAD's shipped kit gains over BASE's in top-1 on the test images, paired, in percentage points; or why nobody knows.

    Both builds are of the same images; each was shown them at its own resolution.
    """
    try:
        found = paired_answers(shipped_kit(head), shipped_kit(base), store, resized=True)
    except Unavailable as why:
        return str(why)
    ours, theirs = (each.logits.argmax(axis=1) == found.labels for each in (found.head, found.base))
    drop = tango_drop_pp(int((theirs & ~ours).sum()), int((ours & ~theirs).sum()), len(found.labels))
    if drop is None:
        return "there are no test images"
    return drop.model_copy(update={"estimate": -drop.estimate, "low": -drop.high, "high": -drop.low})
