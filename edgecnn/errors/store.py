"""Failures of keys and of the store."""

from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.hosts.process import RunnerCannotWrite
from edgecnn.errors.wording import shell_word


class UnstableValue(EdgecnnError, exit_code=ExitCode.OWN_FAULT):
    """Raised when a value in a key would not have the same bytes in every process."""

    def __init__(self, *, where: str, value: object) -> None:
        super().__init__(
            what=f"{where} cannot enter a key: {type(value).__name__} {value!r} has no stable form",
            hint="use None, bool, int, a finite float, str, or mappings and sequences of these",
        )


class StoreUnusable(EdgecnnError):
    """Raised when the store's folder cannot be read, made or written for another reason than space."""

    def __init__(self, *, root: Path, because: str) -> None:
        super().__init__(
            what=f"the store {root} cannot be used",
            because=because,
            hint="set EDGECNN_STORE=FOLDER to a folder that you can write to",
        )


class StoreFull(EdgecnnError):
    """Raised when the disk of the store has no space left, or the user's quota is used up."""

    def __init__(self, *, root: Path, free_bytes: int, doing: str) -> None:
        super().__init__(
            what=f"no space left for the store {root}",
            because=f"{free_bytes / 2**20:.1f} MiB free while {doing}; what was stored before is intact",
            hint="run `edgecnn store gc`, or set EDGECNN_STORE=FOLDER to a folder on another disk",
        )


class TemporaryFolderFull(EdgecnnError):
    """Raised when the disk of the folder for temporary files has no space left, or the user's quota is used up."""

    def __init__(self, *, folder: Path, free_bytes: int, doing: str) -> None:
        super().__init__(
            what=f"no space left in the temporary folder {folder}",
            because=f"{free_bytes / 2**20:.1f} MiB free after {doing} failed",
            hint="make room there, or set TMPDIR=FOLDER to a folder on another disk",
        )


class DiskFull(EdgecnnError):
    """Raised when a disk that is neither the store's nor known to be that of temporary files or results has no space left."""

    def __init__(self, *, file: object) -> None:
        """``file``: that found no room; None: the system did not name it."""
        disk = "the disk" if file is None else f"the disk of {file}"
        super().__init__(what=f"{disk} is full", hint="free space on it, then rerun the command")


class BuildUnprotected(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when a build cannot enter itself among the running ones, so that ``gc`` could take what it has in hand."""

    def __init__(self, *, root: Path, lock: Path, waited_s: float) -> None:
        super().__init__(
            what=f"what this build uses of the store {root} could be removed while it runs",
            because=f"another process has held its lock {lock.name} for {waited_s:g} s",
            hint="run the same command again",
        )


class StageUnfinished(EdgecnnError, exit_code=ExitCode.OWN_FAULT):
    """Raised when a stage returned without leaving files that can be stored."""

    def __init__(self, *, kind: str, because: str) -> None:
        super().__init__(what=f"{kind} returned without a result", because=because, hint="nothing was stored; please report this")


class RemoteUnusable(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when a store afar cannot be reached, listed, read or written; whatever is here is as it was."""

    def __init__(self, *, url: str, because: str) -> None:
        super().__init__(
            what=f"the remote store {url} cannot be used",
            because=because,
            hint="see that it is there and that its client finds your credentials; the same command then goes on",
        )


class RemoteNeedsPackage(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when no installed package reaches places of a URL's kind."""

    def __init__(self, *, url: str, package: str, extra: str | None) -> None:
        line = f'pip install "edgecnn[{extra}]"' if extra else f"pip install {package}"
        super().__init__(what=f"the remote store {url} needs the package {package}, which is not installed", hint=line)


class NoRemote(EdgecnnError):
    """Raised when a transfer is asked for and no remote store is named."""

    def __init__(self, *, verb: str) -> None:
        super().__init__(
            what=f"edgecnn store {verb} has no remote store to go to",
            hint=f"edgecnn store {verb} s3://BUCKET/FOLDER, or set EDGECNN_STORE_REMOTE",
        )


class NothingAfar(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when a remote store that is to be fetched from holds no entry, as where its URL is mistyped."""

    def __init__(self, *, url: str) -> None:
        super().__init__(
            what=f"the remote store {url} holds nothing",
            hint=f"see that it is spelt so, or fill it: edgecnn store push {shell_word(url)}",
        )


class NothingCollected(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when it cannot be told what may go from a remote store; all of it stays."""

    def __init__(self, *, url: str, because: str, hint: str) -> None:
        super().__init__(what=f"nothing is removed from the remote store {url}", because=because, hint=hint)


OF_THE_DISK = (StoreFull, StoreUnusable, TemporaryFolderFull, RunnerCannotWrite)
"""They say nothing of a kit: the same call goes on once there is room."""
