"""Weights from the Hugging Face Hub, downloaded by its own client into its own cache, which timm uses too."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from edgecnn.errors.weights import DOWNLOAD_FAILED
from edgecnn.store.disk import sha256_of
from edgecnn.values.arch import PretrainedWeights
from edgecnn.values.stage import Progress

SHA256_DIGITS = 64


class Held(NamedTuple):
    """A file of the Hub on this machine."""

    path: Path
    sha256: str
    whole: bool
    """False if the bytes differ from those that the Hub announced."""


def hub_address(weights: PretrainedWeights) -> str:
    """Return the file's address at the Hub, or at the mirror that ``HF_ENDPOINT`` names."""
    from huggingface_hub import hf_hub_url

    return str(hf_hub_url(weights.name, weights.file))


def cached_hub_file(weights: PretrainedWeights) -> Held | None:
    """Return the file in the client's cache, or None if there is no readable one.

    The client stores a file as a link to a blob that is named after its SHA-256, as the Hub announced it.
    """
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(weights.name, weights.file)
    if not isinstance(cached, str):
        return None
    path = Path(cached)
    try:
        recorded_sha256 = (
            path.readlink().name if path.is_symlink() else ""
        )  # the first link only: a client may store the bytes behind others
        sha256 = sha256_of(path)
    except OSError:
        return None  # someone else's cache, which cannot be used
    return Held(path, sha256, whole=len(recorded_sha256) != SHA256_DIGITS or recorded_sha256 == sha256)


def fetched_from_hub(weights: PretrainedWeights, tell: Progress) -> Path:
    """Return the file from the cache or the Hub. Partial downloads resume; damaged files are downloaded again.

    Raises DownloadFailed: it is not available, or differs from what the Hub announced.
    """
    held = cached_hub_file(weights)
    if held is None or not held.whole:
        _download(weights, tell, anew=held is not None)
        held = cached_hub_file(weights)
    if held is None or not held.whole:
        raise DOWNLOAD_FAILED(url=hub_address(weights), reason="the download is not the file that the Hub announced", received=0)
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
    except Exception as problem:  # the client's errors, and those of its HTTP libraries, share no class
        lines = str(problem).strip().splitlines()
        raise DOWNLOAD_FAILED(
            url=hub_address(weights), reason=lines[0] if lines else type(problem).__name__, received=0
        ) from problem
