"""Size, memory and energy in words: a figure with its interval and of what it is, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgecnn.errors.wording import counted
from edgecnn.values.figures import Energy, Memory
from edgecnn.values.report import CandidateFacts
from edgecnn.values.verdict import Interval


def size_lines(candidates: Sequence[CandidateFacts], carried: Sequence[str]) -> list[str]:
    """What is copied to a device, beside the model's own files: each kit, and the bundle of those that are carried."""
    whole = {facts.candidate.id: facts.kit_mib for facts in candidates if facts.kit_mib is not None}
    said = [
        f"size of `{facts.candidate.id}`: model {facts.size_mib:.1f} MiB, kit {facts.kit_mib:.1f} MiB"
        for facts in candidates
        if facts.size_mib is not None and facts.kit_mib is not None
    ]
    if carried and all(name in whole for name in carried):
        said.append(f"size of the bundle: {sum(whole[name] for name in carried):.1f} MiB, {counted(len(carried), 'kit')}")
    return said


def footprint_lines(candidates: Iterable[CandidateFacts]) -> list[str]:
    """One line a candidate for each of the two; a reason that holds for several is said once, with their names."""
    rows = list(candidates)
    memory = {facts.candidate.id: _memory(facts.memory) for facts in rows if facts.memory is not None}
    energy = {facts.candidate.id: energy_words(facts.energy) for facts in rows if facts.energy is not None}
    return [*_grouped("memory", memory), *_grouped("energy", energy)]


def _grouped(what: str, said: dict[str, str]) -> list[str]:
    names: dict[str, list[str]] = {}
    for name, text in said.items():
        names.setdefault(text, []).append(f"`{name}`")
    return [f"{what} of {', '.join(whose)}: {text}" for text, whose in names.items()]


def _memory(value: Memory) -> str:
    if value.peak_mib is None or value.baseline_mib is None or value.above_baseline_mib is None:
        return f"not known: {value.reason or 'not measured'}"
    own = f"{_shown(value.above_baseline_mib, 1)} MiB above the runtime's own {value.baseline_mib.estimate:.1f}"
    gpu = f"; {_shown(value.gpu_mib, 1)} MiB of the GPU's" if value.gpu_mib else ""
    unknown = f"; of the GPU's not known: {value.gpu_reason}" if value.gpu_reason and not value.gpu_mib else ""
    return f"peak {_shown(value.peak_mib, 1)} MiB, {own}{gpu}{unknown}"


def energy_words(value: Energy) -> str:
    """The figure with its interval, its meter and what that covers; or why there is none."""
    if value.total_mj is None or value.above_idle_mj is None or value.idle_w is None:
        return f"not known: {value.reason or 'not measured'}"
    above = f"{_shown(value.above_idle_mj, 2)} mJ of it above idle ({_shown(value.idle_w, 2)} W)"
    besides = f"; {value.disturbed}" if value.disturbed else ""
    return f"{_shown(value.total_mj, 2)} mJ an image, {above}; {value.meter}: {value.covers}{besides}"


def _shown(figure: Interval, digits: int) -> str:
    return f"{figure.estimate:.{digits}f} [{figure.low:.{digits}f}, {figure.high:.{digits}f}]"
