"""What really ran, in words: a share of multiply-adds beside those of time and of bytes, since one alone can mislead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgecnn.render import figures
from edgecnn.values.report import CandidateFacts
from edgecnn.values.residency import Residency

MOST = 0.5
_BASIS = {"executed": "executed", "elsewhere": "executed on another machine", "planned": "planned, nothing ran"}


def residency_lines(candidates: Iterable[CandidateFacts]) -> list[str]:
    """One line a traced candidate: each kind of share in the order of its size, and why one is absent."""
    return [
        f"`{facts.candidate.id}` ({_BASIS[facts.residency.basis]}): multiply-adds {_shares(facts.residency.mac_share)}; "
        f"{_time(facts.residency)}; {_bytes(facts.residency)}"
        for facts in candidates
        if facts.residency is not None and facts.residency.mac_share
    ]


def hollow_lines(candidates: Iterable[CandidateFacts]) -> list[str]:
    """A line for each candidate most of whose multiply-adds ran in its precision, and of whose time or bytes less than half did.

    That is how a network looks whose layers multiply in INT8 and hand each other floats.
    """
    lines = []
    for facts in candidates:
        found, precision = facts.residency, facts.candidate.precision.value
        if found is None or found.basis == "planned" or found.mac_share.get(precision, 0.0) < MOST:
            continue
        known = {"the time": found.time_share, "the bytes moved": found.byte_share}
        less = {what: shares.get(precision, 0.0) for what, shares in known.items() if shares is not None}
        if any(share < MOST for share in less.values()):
            rest = " and ".join(f"{figures.whole_share(share)} of {what}" for what, share in less.items())
            macs = figures.whole_share(found.mac_share[precision])
            lines.append(f"{facts.candidate.id}: {macs} of the multiply-adds are {precision}, but {rest}")
    return lines


def _shares(shares: Mapping[str, float]) -> str:
    ordered = sorted(shares.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{figures.whole_share(share)} {name}" for name, share in ordered)


def _time(found: Residency) -> str:
    if found.time_share is None:
        return "time not taken"
    return f"time {_shares(found.time_share)} (one traced process)"


def _bytes(found: Residency) -> str:
    if found.byte_share is None or found.moved_bytes is None:
        return f"bytes moved not known: {found.bytes_absent}"
    return f"{found.moved_bytes / 2**20:.1f} MiB moved, {_shares(found.byte_share)} (counted from shapes)"
