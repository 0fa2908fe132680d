"""Weights of timm's: the published file answers as it does there, another's is refused, and what the hub sent is kept."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file

from edgecnn.errors.weights import WeightsDoNotFit
from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import load_trained, unwrapped_weights
from edgecnn.models.weights import answer_weights
from tests.models.made import serving
from tests.models.test_timm import V4

timm = pytest.importorskip("timm", reason='pip install "edgecnn[zoo]"')


@pytest.mark.parametrize("name", ["dla34.in1k", "tf_efficientnetv2_b0.in1k", "resnetv2_18.ra4_e3600_r224_in1k"])
def test_the_published_file_answers_as_in_timm(name: str, tmp_path: Path) -> None:
    theirs = timm.create_model(name).eval()
    save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    row = arch_named(f"timm:{name}")
    save_file(unwrapped_weights(row, tmp_path / "model.safetensors").tensors, tmp_path / "weights.safetensors")
    ours = load_trained(row, 1000, tmp_path / "weights.safetensors").eval()
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.allclose(ours(images), theirs(images), atol=1e-6)


def test_a_file_under_its_authors_names_is_translated_by_timm(tmp_path: Path) -> None:
    theirs = timm.create_model("convnext_atto.d2_in1k").eval()
    save_file({authors_name(name): tensor for name, tensor in theirs.state_dict().items()}, tmp_path / "a.safetensors")
    tensors = unwrapped_weights(arch_named("timm:convnext_atto"), tmp_path / "a.safetensors").tensors
    assert all(torch.equal(tensors[name], tensor) for name, tensor in theirs.state_dict().items())


def authors_name(name: str) -> str:
    """github.com/facebookresearch/ConvNeXt, models/convnext.py."""
    named = (
        (r"^stem\.", "downsample_layers.0."),
        (r"^stages\.(\d)\.downsample\.", r"downsample_layers.\1."),
        (r"\.blocks\.(\d)", r".\1"),
        (r"\.conv_dw\.", ".dwconv."),
        (r"\.mlp\.fc(\d)", r".pwconv\1"),
        (r"^head\.norm\.", "norm."),
        (r"^head\.fc\.", "head."),
    )
    for ours, authors in named:
        name = re.sub(ours, authors, name)
    return name


def test_a_file_that_lacks_tensors_is_refused_where_timm_would_leave_them_random(tmp_path: Path) -> None:
    state = {name: tensor for name, tensor in timm.create_model("dla34").state_dict().items() if not name.startswith("level5")}
    save_file(state, tmp_path / "a.safetensors")
    with pytest.raises(WeightsDoNotFit, match="it lacks level5"):
        unwrapped_weights(arch_named("timm:dla34"), tmp_path / "a.safetensors")


def test_the_file_of_another_network_is_refused(tmp_path: Path) -> None:
    save_file(timm.create_model("resnet18").state_dict(), tmp_path / "a.safetensors")
    with pytest.raises(WeightsDoNotFit, match="does not contain the weights of timm:mobilenetv4_conv_small"):
        unwrapped_weights(arch_named(V4), tmp_path / "a.safetensors")


def test_a_swapped_file_is_told_before_anything_is_trained(tmp_path: Path) -> None:
    save_file(timm.create_model("resnet18").state_dict(), tmp_path / "model.safetensors")
    with pytest.raises(WeightsDoNotFit, match="does not contain the weights of timm:mobilenetv4_conv_small"):
        answer_weights(arch_named(V4), str(tmp_path / "model.safetensors"))
    assert answer_weights(arch_named("timm:resnet18"), str(tmp_path / "model.safetensors")).kind == "file"


FETCH = """
import sys
from pathlib import Path
from edgecnn.errors.base import EdgecnnError
from edgecnn.models.catalogue import arch_named
from edgecnn.models.fetching import fetch_weights
from edgecnn.models.weights import answer_weights
from edgecnn.render.progress import Quiet
row = arch_named("timm:test_efficientnet.r160_in1k")
print(answer_weights(row, "auto").kind)
try:
    fetch_weights(row, None, Path(sys.argv[1]), Quiet())
except EdgecnnError as error:
    print(error.line())
print(answer_weights(row, "auto").kind)
"""


def fetched_from(address: str, cache: Path, out: Path) -> str:
    """By a process of its own: the hub's client reads the address where it is imported."""
    out.mkdir(exist_ok=True)
    here = {"HF_ENDPOINT": address, "HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run(
        [sys.executable, "-c", FETCH, str(out)], env={**os.environ, **here}, check=True, capture_output=True, text=True
    )
    return done.stdout


@pytest.mark.slow  # a hub of its own, asked by several processes
def test_weights_come_from_the_hub_once_and_then_from_its_cache(tmp_path: Path) -> None:
    content = save(timm.create_model("test_efficientnet").state_dict())
    headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": "0" * 40}
    place = "timm/test_efficientnet.r160_in1k/resolve/main/model.safetensors"
    hub = tmp_path / "hub"
    with serving(content, place, headers) as served:
        address = served.url.rpartition("/timm/")[0]
        assert fetched_from(address, hub, tmp_path / "a").split() == ["download", "cached"]
        assert (tmp_path / "a" / "weights.safetensors").is_file()
        blob = next(hub.rglob("blobs/*"))
        blob.write_bytes(content[:-1] + b"x")
        assert fetched_from(address, hub, tmp_path / "b").split() == ["download", "cached"], "what is damaged is fetched anew"
    assert fetched_from(address, hub, tmp_path / "c").split() == ["cached", "cached"], "nobody answers any more"
    blob = next(hub.rglob("blobs/*"))
    shared = hub / "shared" / ("f" * 64)  # the bytes behind a second link, under a name that is no SHA-256 of theirs
    shared.parent.mkdir()
    blob.rename(shared)
    blob.symlink_to(shared)
    assert fetched_from(address, hub, tmp_path / "d").split() == ["cached", "cached"]
    shared.write_bytes(b"x")
    assert fetched_from(address, hub, tmp_path / "e").startswith("none\ndownloading http://127.0.0.1")


def test_offline_the_file_and_its_use_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGECNN_OFFLINE", "1")
    answer = answer_weights(arch_named(V4), "auto")
    assert answer.kind == "none"
    assert answer.why.endswith(
        "on a machine with internet run `curl -LO https://huggingface.co/timm/mobilenetv4_conv_small.e2400_r224_in1k/resolve/main/"
        "model.safetensors` and name the file: --weights model.safetensors"
    )
