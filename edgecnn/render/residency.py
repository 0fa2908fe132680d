"""What really ran, in words: a share of multiply-adds beside those of time and of bytes, since one alone can mislead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgecnn.render import figures
from edgecnn.values.layers import Residency
from edgecnn.values.report import CandidateFacts

MOST = 0.5
_BASIS = {
    "executed": "what ran",
    "elsewhere": "what ran, on another machine than the device, whose kernels may be others",
    "planned": "what the engine's builder planned, and nothing ran",
}
_OTHER_WORK = {"overhead": "converting and moving numbers", "unknown": "in a precision that the runtime does not name"}
_LEAST_SHOWN = 0.001


def residency_lines(candidates: Iterable[CandidateFacts]) -> list[str]:
    """One line a traced candidate: each kind of share in the order of its size, and why one is absent."""
    return [
        f"`{facts.candidate.id}`: {ran_in(facts.residency)}"
        for facts in candidates
        if facts.residency is not None and facts.residency.mac_share
    ]


def ran_in(found: Residency) -> str:
    """The shares of multiply-adds, of time inside layers and of bytes moved, and what is not known of them."""
    macs = _shares(found.mac_share) if found.mac_share else "not known"
    return f"{_BASIS[found.basis]}: multiply-adds {macs}; {_time(found)}; {_bytes(found)}"


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
    """The largest first; what is nothing is not said."""
    ranked = sorted((item for item in shares.items() if item[1] > 0), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{_share(share)} {_OTHER_WORK.get(name, f'in {name}')}" for name, share in ranked)


def _share(share: float) -> str:
    return "<0.1 %" if share < _LEAST_SHOWN else figures.whole_share(share)


def _time(found: Residency) -> str:
    if found.time_share is None:
        return "time inside layers not known"
    return f"time inside layers {_shares(found.time_share)} (one traced process)"


def _bytes(found: Residency) -> str:
    if found.byte_share is None or found.moved_bytes is None:
        return "bytes moved not known" + (f": {found.bytes_absent}" if found.bytes_absent else "")
    return f"{found.moved_bytes / 2**20:.1f} MiB moved, {_shares(found.byte_share)} (counted from shapes)"
