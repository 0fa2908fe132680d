"""Whether a target supports what is asked of it, or anything at all: told before an hour of training, not after it."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.backends.installed import lacking
from edgecnn.backends.registry import all_backends, backend_for, offers
from edgecnn.devices.check.needs import absent_there
from edgecnn.devices.this_machine import with_local_facts
from edgecnn.errors.building import NothingToBuild
from edgecnn.errors.devices import NoCandidate, PrecisionNotOnDevice
from edgecnn.errors.training import NothingChangesHere
from edgecnn.planning.variants import aware_candidates, aware_unavailable, surgery_candidates, surgery_unavailable
from edgecnn.quantization.registry import packages_for
from edgecnn.values.artifact import Unavailable
from edgecnn.values.board import LocalFacts
from edgecnn.values.candidate import BASELINE_ID, Candidate, Precision, Runtime, Unsupported
from edgecnn.values.data.dataset import DataSummary
from edgecnn.values.device import Device
from edgecnn.values.recipe import Recipe


def require_candidate(device: Device, supported: Sequence[Candidate | Unsupported]) -> None:
    """Refuse a device on which no runtime could run the network, whatever is installed here.

    The baseline network's fp32 is always built, since every drop is counted from it: alone it is nothing to ship.

    Raises NoCandidate: each of ``supported`` is refused; says why, runtime by runtime.
    """
    if any(isinstance(entry, Candidate) for entry in supported):
        return
    has = list(device.runtimes)
    refused = [entry for entry in supported if isinstance(entry, Unsupported)]
    if not refused:
        reasons = [
            f"its device file builds none of its runtimes ({', '.join(each.value for each in has)}) unless the target names it"
        ]
        raise NoCandidate(device=device.name, reasons=reasons, hint=_target_hint(has))
    others = [each for each in has if each not in {entry.runtime for entry in refused}]
    hint = _target_hint(others) if others else "`edgecnn list devices` names devices that a build can be made for"
    raise NoCandidate(device=device.name, reasons=_reasons(refused), hint=hint)


def _target_hint(runtimes: Sequence[Runtime]) -> str:
    """The target of the first of these runtimes that can be built here; if none can, what to install first."""
    lacks = {runtime: lacking(backend_for(runtime).packages, backend_for(runtime).extra) for runtime in runtimes}
    built = next((runtime for runtime, why in lacks.items() if why is None), runtimes[0])
    install = "" if (why := lacks[built]) is None or why.command is None else f"{why.command}, then "
    return f"{install}--target DEVICE:{built.value}"


def require_precision(device: Device, precision: Precision, asked_by: str, supported: Sequence[Candidate | Unsupported]) -> None:
    """Refuse a recipe that asks for a precision which none of the target's runtimes has, rather than build without it.

    ``asked_by``: the recipe's key, as a user writes it.

    Raises PrecisionNotOnDevice: there is no candidate of that precision; says why of each runtime, and what there is.
    """
    has = [entry.precision for entry in supported if isinstance(entry, Candidate)]
    if precision in has:
        return
    refused = [entry for entry in supported if isinstance(entry, Unsupported) and entry.precision is precision]
    raise PrecisionNotOnDevice(
        device=device.name,
        precision=precision.value,
        asked_by=asked_by,
        has=[each.value for each in dict.fromkeys(has)],
        reasons=[f"{entry.runtime.value}: {entry.why}" for entry in refused],
    )


def _reasons(refused: Sequence[Unsupported]) -> list[str]:
    """One for each runtime and cause, with the precisions that it holds for."""
    precisions: dict[tuple[str, str], list[str]] = {}
    for entry in refused:
        precisions.setdefault((entry.runtime.value, entry.why), []).append(entry.precision.value)
    return [f"{runtime} {', '.join(names)}: {why}" for (runtime, why), names in precisions.items()]


BASELINE = Candidate(id=BASELINE_ID, runtime=Runtime.ONNXRUNTIME, precision=Precision.FP32)


def candidates_of(
    device: Device, asked: Recipe, facts: LocalFacts
) -> tuple[tuple[Candidate, ...], tuple[Unsupported, ...], dict[str, Unavailable]]:
    """The baseline network's fp32 always comes first, since every drop is counted from it."""
    built: dict[str, Candidate] = {BASELINE_ID: BASELINE}
    unsupported: list[Unsupported] = []
    unavailable: dict[str, Unavailable] = {}
    supported: list[Candidate | Unsupported] = []
    wanted = device.built_for(asked.target.runtime)
    for backend in all_backends():
        if backend.runtime not in wanted:
            continue
        entries = offers(backend.runtime, with_local_facts(device, facts))
        supported += entries
        elsewhere = absent_there(facts, backend.runtime, device.runtimes[backend.runtime].versions)
        for entry in entries:
            if isinstance(entry, Unsupported):
                unsupported.append(entry)
            elif elsewhere is not None and entry.id != BASELINE_ID:
                unavailable[entry.id] = elsewhere
            elif (lacks := lacking(packages_for(entry), backend.extra)) is not None:
                unavailable[entry.id] = Unavailable(why=lacks.why, command=lacks.command)
            else:
                built[entry.id] = entry
    needed = lacking(backend_for(BASELINE.runtime).packages, backend_for(BASELINE.runtime).extra)
    if needed is not None:
        raise NothingToBuild(device=device.name, reasons=(needed.why,), command=needed.command)
    require_candidate(device, supported)
    if asked.quantize.aware:
        require_precision(device, Precision.INT8, "quantize.aware", supported)
    if unavailable and not any(isinstance(entry, Candidate) and entry.id in built for entry in supported):
        reasons = tuple(dict.fromkeys(each.why for each in unavailable.values()))
        raise NothingToBuild(device=device.name, reasons=reasons, command=next(iter(unavailable.values())).command)
    return tuple(built.values()), tuple(unsupported), unavailable


def with_learned(
    candidates: tuple[Candidate, ...], unavailable: dict[str, Unavailable], recipe: Recipe, data: DataSummary
) -> tuple[tuple[Candidate, ...], dict[str, Unavailable]]:
    """Candidates that cost another training come last, and only where they are asked for.

    Raises NothingChangesHere: all of them are to be of a changed network, and there can be none.
    """
    no_surgery = surgery_unavailable(recipe, data)
    if recipe.surgery.instead and no_surgery is not None:
        raise NothingChangesHere(because=no_surgery.why, command=no_surgery.command)
    aware = aware_candidates(candidates) if recipe.quantize.aware else ()
    found = list(candidates)
    for more, why in (
        (aware, aware_unavailable(recipe, data)),
        (surgery_candidates(candidates, recipe), no_surgery),
    ):
        if why is None:
            found += more
        else:
            unavailable = {**unavailable, **{candidate.id: why for candidate in more}}
    return tuple(found), unavailable
