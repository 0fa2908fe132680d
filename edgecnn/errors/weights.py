"""Failures of finding, downloading and reading weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ErrorRow, ExitCode
from edgecnn.errors.wording import and_more, did_you_mean, shell_word

_DIGITS = 12
"""Number of digits of a digest in an error."""
WEIGHTS_WORDS = ("auto", "imagenet", "none")
"""Values of ``--weights`` that are not a path."""


class WeightsUnavailable(EdgecnnError):
    """Pretrained weights were requested, and are neither on this machine nor online."""


class WeightsDoNotFit(EdgecnnError):
    """A readable file holds the weights of another network."""


class WeightsCorrupt(EdgecnnError):
    """The SHA-256 of a downloaded file is not the published one."""


class DownloadFailed(EdgecnnError):
    """A download broke off. The received bytes are kept, and the next run resumes."""


class MissingPackage(EdgecnnError):
    """A stage needs a package that is not installed."""


class UnknownArch(EdgecnnError):
    """No row of the catalogue has the name."""


WEIGHTS_UNAVAILABLE = ErrorRow(
    "weights-unavailable",
    "pretrained weights of {arch} are not available here",
    "{because}",
    "{remedy}, or use --weights none",
    exit_code=ExitCode.MISSING,
    kind=WeightsUnavailable,
)
WEIGHTS_FILE_MISSING = ErrorRow(
    "weights-file-missing",
    "the weights file {path} does not exist",
    fix="{guess}pass auto, imagenet, none, or the path of a .safetensors or .pth file",
)
WEIGHTS_NOT_A_FILE = ErrorRow("weights-not-a-file", "the weights path {path} is {kind}, not a file", fix="{hint}")
WEIGHTS_UNREADABLE = ErrorRow(
    "weights-unreadable",
    "{path} is not a readable weights file",
    "{reason}",
    "pass a complete .safetensors file, or a .pth file from torch.save(model.state_dict(), FILE)",
)
WEIGHTS_HOLD_OBJECTS = ErrorRow(
    "weights-hold-objects",
    "{path} is refused",
    "it contains Python objects other than tensors{named}; reading them would run code that the file names",
    "where the file was made, save only the tensors with torch.save(model.state_dict(), FILE)",
)
WEIGHTS_DO_NOT_FIT = ErrorRow(
    "weights-do-not-fit", "{path} does not contain the weights of {arch}", "{problems:first 3}", "{hint}", kind=WeightsDoNotFit
)
WEIGHTS_AMBIGUOUS = ErrorRow(
    "weights-ambiguous",
    "{path} contains several sets of weights that fit",
    "{sets} have the same tensors",
    "where the file was made, save only one set with torch.save(model.state_dict(), FILE)",
)
WEIGHTS_CORRUPT = ErrorRow(
    "weights-corrupt",
    "{source} is not the published file",
    "its sha256 begins with {found}, but the published sha256 begins with {expected_prefix}",
    "delete the file, or reinstall the package that contains it, and rerun the command",
    kind=WeightsCorrupt,
)
WEIGHTS_CHANGED = ErrorRow(
    "weights-changed",
    "{path} differs from the planned file",
    "its sha256 begins with {found}, but the planned sha256 begins with {planned}",
    "rerun the command; on a cluster, every machine needs the same file at this path",
)
DOWNLOAD_FAILED = ErrorRow(
    "download-failed",
    "downloading {url} failed after {received:,} bytes",
    "{reason}",
    "rerun the command to continue, or use --weights none",
    exit_code=ExitCode.MISSING,
    kind=DownloadFailed,
)
MISSING_PACKAGE = ErrorRow(
    "missing-package",
    "{needed_for} needs the package {distribution}, which is not installed",
    "{why}",
    "{command}",
    exit_code=ExitCode.MISSING,
    kind=MissingPackage,
)
PACKAGE_UNIMPORTABLE = ErrorRow(
    "package-unimportable",
    "{needed_for} needs the package {package}, which cannot be imported",
    "{because}",
    'pip install --force-reinstall "edgecnn[{extra}]"',
    exit_code=ExitCode.MISSING,
)
UNKNOWN_ARCH = ErrorRow(
    "unknown-arch", "{name!r} is not a known network", fix="{guess}run `{shown_by}` to list the networks", kind=UnknownArch
)
NOT_A_CLASSIFIER = ErrorRow(
    "not-a-classifier",
    "{arch} is not an image classifier",
    "{because}",
    "run edgecnn list archs {like:word} to list similar networks that are classifiers",
)
RESOLUTION_FIXED = ErrorRow(
    "resolution-fixed",
    "{arch} cannot take images of {asked_px} px",
    "its position embeddings fit only one image size",
    "pass --set model.resolution_px={only_px}, or remove it",
)
SHAPE_NOT_TAKEN = ErrorRow(
    "shape-not-taken",
    "{arch} cannot take images of {asked_px} px",
    "the shapes of its layers do not match for this image size",
    "set model.resolution_px to sides that are multiples of 32, or remove it",
)
RESOLUTION_TOO_LARGE = ErrorRow(
    "resolution-too-large",
    "{arch} cannot be trained on images of {asked_px} px",
    "each side is limited to {most_px} px",
    "pass --set model.resolution_px={most_px}, or remove it",
)
RESOLUTION_TOO_SMALL = ErrorRow(
    "resolution-too-small",
    "{arch} cannot take images of {asked_px} px",
    "its layers shrink such images to nothing; each side needs at least {least_px} px",
    "pass --set model.resolution_px={taken_px}, or remove it",
)


def weights_file_missing(path: Path) -> EdgecnnError:
    return WEIGHTS_FILE_MISSING(path=path, guess=did_you_mean(path.name, WEIGHTS_WORDS))


def weights_not_a_file(path: Path, kind: str, inside: Sequence[Path] = ()) -> EdgecnnError:
    """``inside``: weights files in the folder."""
    hint = f"pass --weights {shell_word(inside[0])}" if inside else "pass the path of a .safetensors or .pth file"
    return WEIGHTS_NOT_A_FILE(path=path, kind=kind, hint=hint)


def weights_hold_objects(path: Path, names: Sequence[str] = ()) -> EdgecnnError:
    return WEIGHTS_HOLD_OBJECTS(path=path, named=f" ({_first(names)})" if names else "")


def weights_do_not_fit(path: Path, arch: str, problems: Sequence[str], fits: Sequence[str] | None = None) -> EdgecnnError:
    """``fits``: networks of the catalogue with exactly the file's tensors; None if none was compared."""
    if fits is None:
        hint = "pass the network of the file with --arch"
    elif fits:
        shown = " or ".join(fits)
        hint = f"pass --arch {shown}, which has exactly these tensors"
    else:
        hint = (
            "no network of the catalogue has these tensors; pass a timm network with --arch timm:NAME, "
            "or save the whole network with torch.export.save and pass it with --model FILE"
        )
    return WEIGHTS_DO_NOT_FIT(path=path, arch=arch, problems=tuple(problems), hint=hint)


def weights_ambiguous(path: Path, sets: Sequence[str]) -> EdgecnnError:
    """``sets``: the prefixes of the tensors' names."""
    return WEIGHTS_AMBIGUOUS(path=path, sets=_first(sets))


def weights_corrupt(source: str, expected_prefix: str, sha256: str) -> EdgecnnError:
    return WEIGHTS_CORRUPT(source=source, expected_prefix=expected_prefix, found=sha256[: len(expected_prefix)])


def weights_changed(path: Path, planned: str, sha256: str) -> EdgecnnError:
    return WEIGHTS_CHANGED(path=path, planned=planned[:_DIGITS], found=sha256[:_DIGITS])


def missing_package(distribution: str, needed_for: str, why: str, command: str | None) -> EdgecnnError:
    """``command``: the command that installs the package; None if pip cannot, for the reason ``why``."""
    return MISSING_PACKAGE(
        distribution=distribution, needed_for=needed_for, why=why if command is None else None, command=command
    )


def unknown_arch(name: str, nearest: Sequence[str], shown_by: str = "edgecnn list archs") -> EdgecnnError:
    guess = f"did you mean {', '.join(nearest)}? " if nearest else ""
    return UNKNOWN_ARCH(name=name, guess=guess, shown_by=shown_by)


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + and_more(len(names), 3)
