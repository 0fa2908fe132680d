"""Failures of keys and of the store."""

from __future__ import annotations

from edgecnn.errors.base import EdgecnnError, ErrorRow, ExitCode
from edgecnn.errors.hosts import RunnerCannotWrite


class UnstableValue(EdgecnnError):
    """A value in a key would not have the same bytes in every process."""


class StoreUnusable(EdgecnnError):
    """The store's folder cannot be read, made or written."""


class StoreFull(EdgecnnError):
    """The disk of the store has no space left, or the user's quota is used up."""


class TemporaryFolderFull(EdgecnnError):
    """The disk of the folder for temporary files has no space left."""


class RemoteUnusable(EdgecnnError):
    """A remote store cannot be reached, listed, read or written."""


class RemoteNeedsPackage(EdgecnnError):
    """No installed package reaches URLs of this kind."""


class NothingCollected(EdgecnnError):
    """The entries that a remote store still needs are unknown, so all of them stay."""


OF_THE_DISK = (StoreFull, StoreUnusable, TemporaryFolderFull, RunnerCannotWrite)
"""Errors that do not concern a kit: the same command resumes once there is space."""

UNSTABLE_VALUE = ErrorRow(
    "unstable-value",
    "{where} cannot be part of a key",
    "the value {value} of type {type} has no stable form",
    "use only None, bool, int, finite float, str, and mappings and sequences of them",
    exit_code=ExitCode.OWN_FAULT,
    kind=UnstableValue,
)
NAME_NOT_PLAIN = ErrorRow(
    "name-not-plain",
    "{name!r} in a record of {folder} is refused",
    "it {because}",
    "restore the folder from a copy that you trust, or build again",
)
STORE_UNUSABLE = ErrorRow(
    "store-unusable",
    "the store {root} cannot be used",
    "{because}",
    "set EDGECNN_STORE=FOLDER to a folder that you can read and write",
    kind=StoreUnusable,
)
STORE_FULL = ErrorRow(
    "store-full",
    "there is no space left for the store {root}",
    "{free_bytes:mib} were free while {doing}; stored entries are intact",
    "run `edgecnn store gc`, or set EDGECNN_STORE=FOLDER to a folder on another disk",
    kind=StoreFull,
)
TEMPORARY_FOLDER_FULL = ErrorRow(
    "temporary-folder-full",
    "there is no space left in the temporary folder {folder}",
    "{free_bytes:mib} were free after {doing} failed",
    "free space there, or set TMPDIR=FOLDER to a folder on another disk",
    kind=TemporaryFolderFull,
)
DISK_FULL = ErrorRow("disk-full", "{disk} is full", fix="free some space there, then rerun the command", also=("file",))
BUILD_UNPROTECTED = ErrorRow(
    "build-unprotected",
    "the store {root} cannot protect the entries of this build",
    "another process has held the lock {lock.name} for {waited_s:g} s",
    "rerun the command",
    exit_code=ExitCode.MISSING,
)
STAGE_UNFINISHED = ErrorRow(
    "stage-unfinished",
    "{kind} returned without a result",
    "its folder is empty",
    "nothing was stored; please report this",
    exit_code=ExitCode.OWN_FAULT,
)
STAGE_LEFT_NO_FILE = ErrorRow(
    "stage-left-no-file",
    "{kind} returned without a usable result",
    "{name} is not a regular file",
    "nothing was stored; please report this",
    exit_code=ExitCode.OWN_FAULT,
)
REMOTE_UNUSABLE = ErrorRow(
    "remote-unusable",
    "the remote store {url} cannot be used",
    "{because}",
    "check that the store exists and that its client finds your credentials, then rerun the command",
    exit_code=ExitCode.MISSING,
    kind=RemoteUnusable,
)
REMOTE_NEEDS_PACKAGE = ErrorRow(
    "remote-needs-package",
    "the remote store {url} needs the package {package}",
    "the package is not installed",
    "pip install {requirement}",
    exit_code=ExitCode.MISSING,
    kind=RemoteNeedsPackage,
)
NO_REMOTE = ErrorRow(
    "no-remote",
    "edgecnn store {verb} has no remote store",
    fix="run edgecnn store {verb} s3://BUCKET/FOLDER, or set EDGECNN_STORE_REMOTE",
)
NOTHING_AFAR = ErrorRow(
    "nothing-afar",
    "the remote store {url} is empty",
    fix="check the spelling, or fill the store with edgecnn store push {url:word}",
    exit_code=ExitCode.MISSING,
)
NOTHING_COLLECTED = ErrorRow(
    "nothing-collected",
    "nothing was removed from the remote store {url}",
    "the files that {path} names are unknown: {damage}",
    "update edgecnn; if that does not help, delete {path} there, and the next push sends its entry again",
    exit_code=ExitCode.MISSING,
    kind=NothingCollected,
)
REMOTE_LISTS_LATE = ErrorRow(
    "remote-lists-late",
    "nothing was removed from the remote store {url}",
    "a file that was just written is not listed",
    "try again; gc needs a place that lists new files at once",
    exit_code=ExitCode.MISSING,
    kind=NothingCollected,
)
REMOTE_WITHOUT_TIMES = ErrorRow(
    "remote-without-times",
    "nothing was removed from the remote store {url}",
    "it does not report when its files changed",
    "use a place whose client tells them: a folder, s3://, gs:// or sftp://",
    exit_code=ExitCode.MISSING,
    kind=NothingCollected,
)


def unstable_value(where: str, value: object) -> EdgecnnError:
    return UNSTABLE_VALUE(where=where, value=repr(value), type=type(value).__name__)


def disk_full(file: object) -> EdgecnnError:
    """``file``: the file that could not be written; None if the system did not name it."""
    return DISK_FULL(disk="the disk" if file is None else f"the disk of {file}", file=None if file is None else str(file))


def remote_needs_package(url: str, package: str, extra: str | None) -> EdgecnnError:
    return REMOTE_NEEDS_PACKAGE(url=url, package=package, requirement=f'"edgecnn[{extra}]"' if extra else package)
