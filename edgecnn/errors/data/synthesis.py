"""Failures of composing training images of cut-outs and backgrounds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.wording import and_more, nearest

_NAMED = 5


class SynthesisIncomplete(EdgecnnError):
    """Raised in resolve where only one of the two folders is named."""

    def __init__(self, *, stated: str, missing: str) -> None:
        super().__init__(
            what=f"synthesis.{stated} is stated, and synthesis.{missing} is not",
            because="a picture is composed of a cut-out and a background",
            hint=f"--set synthesis.{missing}=FOLDER",
        )


class SynthesisNotFitting(EdgecnnError):
    """Raised in resolve where images are to be composed beside what would leave them unused, or could not judge them."""

    def __init__(self, *, beside: str, because: str) -> None:
        super().__init__(what=f"[synthesis] does not go with {beside}", because=because, hint="leave one of them out")


class SynthesisFolderUnusable(EdgecnnError):
    """Raised in resolve where a folder of cut-outs or of backgrounds holds nothing to compose pictures of."""

    def __init__(self, *, key: str, folder: Path, because: str, hint: str | None = None) -> None:
        shapes = {"cutouts": "one sub-folder a class, of pictures with an alpha channel", "backgrounds": "photographs"}
        super().__init__(
            what=f"synthesis.{key}: {folder} cannot be used", because=because, hint=hint or f"it should hold {shapes[key]}"
        )


class CutoutClassUnknown(EdgecnnError):
    """Raised in resolve where a sub-folder of cut-outs is called after no class of the photographs."""

    def __init__(self, *, folder: Path, names: Sequence[str], classes: Sequence[str]) -> None:
        near = nearest(names[0], classes)
        which = f"{names[0]!r}{_and_more(names[1:])}"
        super().__init__(
            what=f"synthesis.cutouts: {folder} has cut-outs of {which}, which the photographs do not know",
            because="a class that only composed images show could neither be judged nor calibrated",
            hint=f"rename {names[0]} to {near}?" if near else "add photographs of it, or remove its folder",
        )


class ClassesWithoutCutouts(EdgecnnError):
    """Raised in resolve where classes have no cut-out and nobody said that only some have."""

    def __init__(self, *, folder: Path, names: Sequence[str]) -> None:
        super().__init__(
            what=f"synthesis.cutouts: {folder} has no cut-out of {names[0]!r}{_and_more(names[1:])}",
            because="where only some classes have composed images, being composed tells these from the others",
            hint="add cut-outs of it; --set synthesis.classes=some accepts that, beside photographs",
        )


class CutoutsUnusable(EdgecnnError):
    """Raised before anything is composed where pictures are no cut-outs; all are looked at."""

    def __init__(self, *, folder: str, broken: Sequence[tuple[str, str]], checked: int) -> None:
        self.broken = tuple(broken)
        super().__init__(
            what=f"{folder}: {len(broken):,} of {checked:,} pictures cannot be used as cut-outs",
            because="; ".join(f"{path}: {why}" for path, why in broken[:_NAMED]) + and_more(len(broken), _NAMED),
            hint="save what is to be seen as PNG or WebP with transparency around it, or remove them",
        )


def _and_more(names: Sequence[str]) -> str:
    return "".join(f", {name!r}" for name in names[: _NAMED - 1]) + and_more(len(names), _NAMED - 1)
