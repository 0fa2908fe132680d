"""Failures of finding, fetching and reading weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ExitCode

_SHOWN = 3


class WeightsUnavailable(EdgecnnError):
    """Raised when pretrained weights were demanded and neither this machine nor the network has them."""

    ref = "weights-unavailable"
    exit_code = ExitCode.MISSING

    def __init__(self, *, arch: str, because: str, remedy: str) -> None:
        super().__init__(
            what=f"pretrained weights of {arch} cannot be had here", because=because, hint=f"{remedy}, or use --weights none"
        )


class WeightsFileMissing(EdgecnnError):
    """Raised in resolve when ``--weights`` names a file that is not there."""

    ref = "weights-file-missing"

    def __init__(self, *, path: Path) -> None:
        super().__init__(
            what=f"--weights {path}: there is no such file",
            hint="give auto, imagenet, none, or the path of a .safetensors or .pth file",
        )


class WeightsUnreadable(EdgecnnError):
    """Raised when a weights file is truncated, of another format, or holds more than tensors."""

    ref = "weights-unreadable"

    def __init__(self, *, path: Path, reason: str) -> None:
        super().__init__(
            what=f"{path} is not a readable weights file",
            because=reason,
            hint="it must be a complete .safetensors file, or a .pth that torch.load(weights_only=True) accepts",
        )


class WeightsDoNotFit(EdgecnnError):
    """Raised when a readable file holds the weights of another network."""

    ref = "weights-do-not-fit"

    def __init__(self, *, path: Path, arch: str, problems: Sequence[str]) -> None:
        rest = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        super().__init__(
            what=f"{path} does not hold the weights of {arch}",
            because="; ".join(problems[:_SHOWN]) + rest,
            hint="name the architecture that the file was saved from with --arch",
        )


class WeightsCorrupt(EdgecnnError):
    """Raised when a fetched file's SHA-256 is not the published one."""

    ref = "weights-corrupt"

    def __init__(self, *, source: str, expected_prefix: str, found: str) -> None:
        super().__init__(
            what=f"{source} is not the published file",
            because=f"its sha256 begins with {found[: len(expected_prefix)]}, published is {expected_prefix}",
            hint="delete it, or reinstall the package that brought it, and run the same command again",
        )


class DownloadFailed(EdgecnnError):
    """Raised when a download broke off. What had arrived is kept, and the next run continues from there."""

    ref = "download-failed"
    exit_code = ExitCode.MISSING

    def __init__(self, *, url: str, reason: str, received: int) -> None:
        super().__init__(
            what=f"downloading {url} failed after {received:,} bytes",
            because=reason,
            hint="run the same command again to continue, or use --weights none",
        )
