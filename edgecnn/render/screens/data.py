"""An inspection in words: what there is, class by class, and what to know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from edgecnn.errors.wording import counted, first_of
from edgecnn.render.terminal import show_lines, show_rows
from edgecnn.values.data.augmentation import AugmentationPreview
from edgecnn.values.data.dataset import DataDivision, DataInspection, Finding, Grouping, Spread

_SHOWN = 60
_NAMED = 5
_SIGNS = 100
"""Of a group's name."""


def show_inspection(facts: DataInspection) -> None:
    """A class a row, with its split folders, its share and its unusable files; then what holds of all."""
    parts = tuple(facts.classes[0].by_split)
    split = parts if len(parts) > 1 else ()
    rows: list[Sequence[str]] = [
        (
            each.name, f"{each.images:,}", f"{each.images / facts.images:.1%}", *(f"{each.by_split[part]:,}" for part in split),
            f"{each.unreadable:,}" if each.unreadable else "–",
        )
        for each in facts.classes[:_SHOWN]
    ]  # fmt: skip
    kind = "label" if facts.multi_label else "class"
    of = f"with any of {len(facts.classes):,} labels" if facts.multi_label else f"of {len(facts.classes):,} classes"
    title = f"{facts.root}: {facts.images:,} images {of}"
    show_rows((kind, "images", "share", *split, "unusable"), rows, title=title)
    show_lines(_inspection_lines(facts))


def _inspection_lines(facts: DataInspection) -> Iterator[str]:
    if len(facts.classes) > _SHOWN:
        yield f"  and {len(facts.classes) - _SHOWN:,} more {'labels' if facts.multi_label else 'classes'}"
    yield f"  roles: {facts.roles_from}" if facts.roles is not None else "  roles: none can be drawn"
    if facts.grouping is not None:
        yield f"  groups: {_groups(facts.grouping)}"
    yield f"  shorter side {_spread(facts.short_side_px)}; longer side {_spread(facts.long_side_px)}"
    yield f"  stored as {_counted(facts.formats)}; pixels {_counted(facts.modes)}"
    yield from (f"  {_weight(finding)}: {finding.sentence}" for finding in facts.findings)
    if not facts.findings:
        yield "  nothing odd was found"
    if facts.contact_sheet is not None:
        yield f"  {facts.contact_sheet}"


def _weight(finding: Finding) -> str:
    return "error" if finding.kind == "roles" else "warning" if finding.serious else "note"


def _groups(grouping: Grouping) -> str:
    largest = f"the largest {grouping.largest[:_SIGNS]!r} with {counted(grouping.largest_images, 'image')}"
    alone = f"; {counted(grouping.alone, 'image is', 'images are')} of none" if grouping.alone else ""
    return f"{grouping.groups:,} by '{grouping.by}', {largest}{alone}"


def _spread(side: Spread) -> str:
    if side.min == side.max:
        return f"{side.min:,} px"
    return f"{side.min:,} to {side.max:,} px (median {side.median:,}, nine in ten within {side.p5:,} to {side.p95:,})"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def division_lines(made: DataDivision) -> Iterator[str]:
    """What was written, and what was left out."""
    images = ", ".join(f"{name}/ {count:,}" for name, count in made.images.items())
    yield f"{made.out}: {images}{' (hard links)' if made.linked else ''}"
    yield f"  from {made.root}: {made.roles_from}; seed {made.seed}"
    for what, left in (("cannot be used", made.skipped), ("stand twice", made.copies)):
        if left:
            yield f"  left out, {len(left):,} that {what}: {first_of(left, _NAMED)}"


def preview_lines(made: AugmentationPreview) -> Iterator[str]:
    """Where the sheet is, and how often each row of the list came to something on it."""
    yield f"{made.sheet}: originals, and beside them {len(made.pictures):,} pictures as training shows them"
    if made.composed_rows:
        first, last = made.composed_rows[0], made.composed_rows[-1]
        yield f"  composed of cut-outs and backgrounds: {f'rows {first} to {last}' if last > first else f'row {first}'}"
    for number, asked in enumerate(made.augment):
        applied = sum(picture.drawn[number].applied for picture in made.pictures)
        given = {name: f"{value[0]:g} to {value[1]:g}" if isinstance(value, tuple) else value for name, value in asked}
        settings = ", ".join(f"{name} {value}" for name, value in given.items() if name != "kind")
        yield f"  {asked.kind}: {settings}; applied to {applied:,} of them"
