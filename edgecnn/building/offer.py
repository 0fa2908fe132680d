"""Whether a target offers anything at all: told before an hour of training, not after it."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.errors.devices import NoCandidate
from edgecnn.values.candidate import Candidate, Runtime, Unsupported
from edgecnn.values.device import Device


def require_candidate(device: Device, runtime: Runtime | None, offered: Sequence[Candidate | Unsupported]) -> None:
    """Refuse a device on which no runtime could run the network, whatever is installed here.

    The baseline network's fp32 is always built, since every drop is counted from it: alone it is nothing to ship.

    Args:
        device: the target.
        runtime: the one that the target names; None for all that its file offers.
        offered: what the backends answered for those runtimes.

    Raises:
        NoCandidate: each of ``offered`` is refused; says why, runtime by runtime.
    """
    if any(isinstance(entry, Candidate) for entry in offered):
        return
    has = [name.value for name in device.runtimes]
    refused = [entry for entry in offered if isinstance(entry, Unsupported)]
    if not refused:
        reasons = [f"its device file offers none of its runtimes ({', '.join(has)}) unless the target names it"]
        raise NoCandidate(device=device.name, reasons=reasons, hint=f"--target DEVICE:{has[0]}")
    others = [name for name in has if runtime is not None and name != runtime.value]
    hint = f"--target DEVICE:{others[0]}" if others else "`edgecnn list devices` names devices that a build can be made for"
    raise NoCandidate(device=device.name, reasons=_reasons(refused), hint=hint)


def _reasons(refused: Sequence[Unsupported]) -> list[str]:
    """One for each runtime and cause, with the precisions that it holds for."""
    precisions: dict[tuple[str, str], list[str]] = {}
    for entry in refused:
        precisions.setdefault((entry.runtime.value, entry.why), []).append(entry.precision.value)
    return [f"{runtime} {', '.join(names)}: {why}" for (runtime, why), names in precisions.items()]
