"""One machine for people: what it is, what stands in the way with what mends it, and where its device file disagrees."""

from __future__ import annotations

from collections.abc import Iterator

from edgecnn.errors.wording import counted
from edgecnn.render.terminal import show_lines
from edgecnn.values.board import BoardCheck, BoardFacts, Weight

_HEADS = {
    Weight.STOPS: "kits cannot run until this is mended",
    Weight.DISTORTS: "what is measured would not be what it can do",
    Weight.NOTES: "to know",
}


def show_board(check: BoardCheck) -> None:
    """Everything, the gravest first."""
    show_lines([*_about(check.board, check.facts), *_found(check), *_held(check)])


def _about(name: str, facts: BoardFacts) -> Iterator[str]:
    python = facts.python
    model = facts.models[0] if facts.models else facts.cpu or "processor unknown"
    yield f"{name}: {model}, {facts.system or 'system unknown'}, kernel {facts.kernel}"
    flags = f"; {' '.join(facts.isa)}" if facts.isa else ""
    memory = f", {facts.memory_mib:,} MiB of memory" if facts.memory_mib is not None else ""
    yield f"  {facts.architecture}, {counted(facts.cores, 'core')}{memory}{flags}"
    version, glibc = (".".join(map(str, numbers)) for numbers in (python.version, python.glibc or ()))
    library = f"glibc {glibc}" if glibc else "another C library"
    yield f"  {python.implementation} {version} ({python.bits} bits, {library}): {python.executable}"
    packages = ", ".join(f"{each} {number}" for each, number in sorted(facts.packages.items()))
    yield f"  packages: {packages or 'none of those that kits need'}"
    conditions = (
        ("governor", facts.governor), ("clocks", facts.clocks), ("power mode", facts.power_mode_name or facts.power_mode),
        ("throttled", facts.throttled), ("JetPack", facts.jetpack), ("CUDA", facts.cuda),
    )  # fmt: skip
    read = [f"{label} {value}" for label, value in conditions if value is not None]
    if read:
        yield f"  {'; '.join(read)}"


def _found(check: BoardCheck) -> Iterator[str]:
    if not check.findings:
        yield "nothing stands in the way"
    for weight, head in _HEADS.items():
        of_weight = [finding for finding in check.findings if finding.weight is weight]
        if of_weight:
            yield f"{head}:"
        for finding in of_weight:
            yield f"  {finding.what} [{finding.ref}]"
            if finding.remedy is not None:
                yield f"    {finding.remedy}"


def _held(check: BoardCheck) -> Iterator[str]:
    if check.recognised_as:
        yield f"recognised as {', '.join(check.recognised_as)}"
    if check.device is not None and not check.differences:
        yield f"the file of {check.device} agrees with it"
    if check.differences:
        yield f"the file of {check.device} disagrees:"
        yield from (f"  {difference}" for difference in check.differences)
