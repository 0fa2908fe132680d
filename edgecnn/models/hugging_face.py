"""Weights of Hugging Face's hub: fetched by its own client into its own cache, where timm looks for them too."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from edgecnn.errors.weights import DOWNLOAD_FAILED
from edgecnn.store.disk import sha256_of
from edgecnn.values.arch import PretrainedWeights
from edgecnn.values.stage import Progress

SHA256_DIGITS = 64


class Held(NamedTuple):
    """A file of the hub on this machine."""

    path: Path
    sha256: str
    whole: bool
    """False where the bytes are not those that the hub named."""


def hub_address(weights: PretrainedWeights) -> str:
    """Where the file is asked for: at the hub, or where ``HF_ENDPOINT`` says that a mirror of it is."""
    from huggingface_hub import hf_hub_url

    return str(hf_hub_url(weights.name, weights.file))


def cached_hub_file(weights: PretrainedWeights) -> Held | None:
    """Return the file in the client's cache, or None if there is none that can be read.

    The client keeps a file of the hub as a link to bytes that it names after their SHA-256, as the hub told it.
    """
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(weights.name, weights.file)
    if not isinstance(cached, str):
        return None
    path = Path(cached)
    try:
        recorded_sha256 = (
            path.readlink().name if path.is_symlink() else ""
        )  # the first link alone: a client may keep the bytes behind others
        sha256 = sha256_of(path)
    except OSError:
        return None  # somebody else's cache: as good as none
    return Held(path, sha256, whole=len(recorded_sha256) != SHA256_DIGITS or recorded_sha256 == sha256)


def fetched_from_hub(weights: PretrainedWeights, tell: Progress) -> Path:
    """The file, from the cache or else from the hub; what broke off is continued, and what is damaged fetched anew.

    Raises DownloadFailed: it cannot be had, or is not what the hub named.
    """
    held = cached_hub_file(weights)
    if held is None or not held.whole:
        _download(weights, tell, anew=held is not None)
        held = cached_hub_file(weights)
    if held is None or not held.whole:
        raise DOWNLOAD_FAILED(url=hub_address(weights), reason="what arrived is not what the hub named", received=0)
    return held.path


def _download(weights: PretrainedWeights, tell: Progress, *, anew: bool) -> None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils.tqdm import tqdm

    class Told(tqdm):
        """Report the progress of the download instead of drawing a bar."""

        arrived = 0

        def update(self, n: float | None = 1) -> bool | None:
            self.arrived += int(n or 0)
            tell.step("download weights", self.arrived, None if self.total is None else int(self.total), "bytes")
            return None

        def display(self, *_: object, **__: object) -> None:
            """Draw nothing."""

    try:
        hf_hub_download(weights.name, weights.file, tqdm_class=Told, force_download=anew)
    except Exception as problem:  # its errors, and those of the libraries that it asks the network by, share no class
        lines = str(problem).strip().splitlines()
        raise DOWNLOAD_FAILED(
            url=hub_address(weights), reason=lines[0] if lines else type(problem).__name__, received=0
        ) from problem
