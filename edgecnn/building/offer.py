"""Whether a target offers what is asked of it, or anything at all: told before an hour of training, not after it."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.backends.registry import backend_for
from edgecnn.errors.devices import NoCandidate, PrecisionNotOnDevice
from edgecnn.values.candidate import Candidate, Precision, Runtime, Unsupported
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
    others = [name for name in has if name not in {entry.runtime.value for entry in refused}]
    hint = f"--target DEVICE:{others[0]}" if others else "`edgecnn list devices` names devices that a build can be made for"
    raise NoCandidate(device=device.name, reasons=_reasons(refused), hint=hint)


def build_targets(device: Device) -> tuple[str, ...]:
    """How a build for it is asked: its name where that gives a candidate, then what gives one by a runtime's name alone.

    Empty where nothing can be built.
    """
    if device.facts_only is not None:
        return ()
    building = [runtime for runtime in device.runtimes if _builds(device, runtime)]
    plain = [device.name] if any(device.runtimes[runtime].offered for runtime in building) else []
    named = [f"{device.name}:{runtime.value}" for runtime in building if not device.runtimes[runtime].offered]
    return (*plain, *named)


def require_precision(device: Device, precision: Precision, asked_by: str, offered: Sequence[Candidate | Unsupported]) -> None:
    """Refuse a recipe that asks for a precision which none of the target's runtimes has, rather than build without it.

    Args:
        device: the target.
        precision: what is asked for.
        asked_by: the recipe's key, as a user writes it.
        offered: what the backends answered; one candidate is among them.

    Raises:
        PrecisionNotOnDevice: there is no candidate of that precision; says why of each runtime, and what there is.
    """
    has = [entry.precision for entry in offered if isinstance(entry, Candidate)]
    if precision in has:
        return
    refused = [entry for entry in offered if isinstance(entry, Unsupported) and entry.precision is precision]
    raise PrecisionNotOnDevice(
        device=device.name,
        precision=precision.value,
        asked_by=asked_by,
        has=[each.value for each in dict.fromkeys(has)],
        reasons=[f"{entry.runtime.value}: {entry.why}" for entry in refused],
    )


def _builds(device: Device, runtime: Runtime) -> bool:
    return any(isinstance(entry, Candidate) for entry in backend_for(runtime).supports(device))


def _reasons(refused: Sequence[Unsupported]) -> list[str]:
    """One for each runtime and cause, with the precisions that it holds for."""
    precisions: dict[tuple[str, str], list[str]] = {}
    for entry in refused:
        precisions.setdefault((entry.runtime.value, entry.why), []).append(entry.precision.value)
    return [f"{runtime} {', '.join(names)}: {why}" for (runtime, why), names in precisions.items()]
