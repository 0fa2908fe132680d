from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.weights import (
    WEIGHTS_CHANGED,
    WEIGHTS_UNREADABLE,
    DownloadFailed,
    WeightsCorrupt,
    WeightsDoNotFit,
)
from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import build_network, load_trained
from edgecnn.models.weights import answer_weights, hub_folder
from edgecnn.stages.weights import FetchStage
from edgecnn.store.disk import sha256_of
from edgecnn.values.arch import ArchSpec
from edgecnn.values.stage import Key
from tests.data.folders import Heard
from tests.models.made import published, saved_network, serving, weights_of

SMALL = arch_named("mobilenet-v3-small")
LITE = arch_named("efficientnet-lite0")
VERSIONS = {"safetensors": "0"}


@pytest.fixture(autouse=True)
def empty_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def small_file(folder: Path) -> bytes:
    saved_network(SMALL, folder / "original.pth")
    return (folder / "original.pth").read_bytes()


def small_row(content: bytes, url: str = "") -> ArchSpec:
    digest = hashlib.sha256(content).hexdigest()
    weights = weights_of(SMALL).model_copy(update={"url": url, "sha256_prefix": digest[:8], "file": f"small-{digest[:8]}.pth"})
    return SMALL.model_copy(update={"weights": weights})


def out_folder(tmp_path: Path, name: str = "out") -> Path:
    (tmp_path / name).mkdir()
    return tmp_path / name


def test_a_packages_weights_become_ours_with_their_facts(tmp_path: Path) -> None:
    out = out_folder(tmp_path)
    FetchStage.from_answer(LITE, answer_weights(LITE, "imagenet")).make({}, out, Heard())
    assert sorted(path.name for path in out.iterdir()) == ["weights.json", "weights.safetensors"]
    load_trained(LITE, 1000, out / "weights.safetensors")
    assert json.loads((out / "weights.json").read_text()) == {
        "arch": "efficientnet-lite0",
        "classes": 1000,
        "file": published(LITE).name,
        "licence": "Apache-2.0",
        "parameters": 4_652_008,
        "sha256": hashlib.sha256(published(LITE).read_bytes()).hexdigest(),
        "source": weights_of(LITE).source,
    }


def test_the_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = out_folder(tmp_path, "first"), out_folder(tmp_path, "second")
    for out in (first, second):
        FetchStage.published(LITE).make({}, out, Heard())
    assert (first / "weights.safetensors").read_bytes() == (second / "weights.safetensors").read_bytes()


def test_where_the_weights_lie_does_not_enter_the_key(tmp_path: Path) -> None:
    content = small_file(tmp_path)
    with serving(content) as served:
        spec = small_row(content, served.url)
        to_download = FetchStage.from_answer(spec, answer_weights(spec, "auto"))
        hub_folder().mkdir(parents=True)
        (hub_folder() / weights_of(spec).file).write_bytes(content)
        in_hub = FetchStage.from_answer(spec, answer_weights(spec, "auto"))
    assert to_download.key(VERSIONS) == in_hub.key(VERSIONS)
    assert str(tmp_path) not in str(in_hub.payload(VERSIONS))


def test_a_users_file_enters_the_key_by_its_bytes(tmp_path: Path) -> None:
    keys = set()
    for name, seed in (("a.pth", 1), ("copy.pth", 1), ("b.pth", 2)):
        torch.save(build_network(SMALL, 4, seed=seed).state_dict(), tmp_path / name)
        (tmp_path / "given.pth").write_bytes((tmp_path / name).read_bytes())
        keys.add(FetchStage.from_answer(SMALL, answer_weights(SMALL, str(tmp_path / "given.pth"))).key(VERSIONS))
    assert len(keys) >= 2


def test_a_users_file_is_read_from_where_it_is_given(tmp_path: Path) -> None:
    state = saved_network(SMALL, tmp_path / "mine.safetensors", classes=4)
    out = out_folder(tmp_path)
    stage = FetchStage.from_answer(SMALL, answer_weights(SMALL, str(tmp_path / "mine.safetensors")))
    stage.make({"weights_file": tmp_path / "mine.safetensors"}, out, Heard())
    made = load_file(out / "weights.safetensors")
    assert all(torch.equal(made[name], tensor) for name, tensor in state.items())
    facts = json.loads((out / "weights.json").read_text())
    assert (facts["classes"], facts["file"], facts["source"]) == (4, "mine.safetensors", "a file of the user")


def test_a_users_file_of_other_bytes_than_were_planned_with_leaves_nothing(tmp_path: Path) -> None:
    mine, out = tmp_path / "mine.safetensors", out_folder(tmp_path)
    saved_network(SMALL, mine, classes=4)
    stage = FetchStage.from_answer(SMALL, answer_weights(SMALL, str(mine)))
    saved_network(SMALL, mine, classes=5)  # as where another machine has an older copy
    with pytest.raises(EdgecnnError, match="differs from the planned file", check=WEIGHTS_CHANGED.made):
        stage.make({"weights_file": mine}, out, Heard())
    mine.unlink()
    with pytest.raises(EdgecnnError, check=WEIGHTS_UNREADABLE.made):
        stage.make({"weights_file": mine}, out, Heard())
    assert not list(out.iterdir())


def test_a_users_file_of_another_network_leaves_nothing(tmp_path: Path) -> None:
    saved_network(SMALL, tmp_path / "mine.safetensors")
    out = out_folder(tmp_path)
    planned = Key(sha256_of(tmp_path / "mine.safetensors"))
    stage = FetchStage(arch="resnet-18", origin="file", inputs={"weights_file": planned})
    with pytest.raises(WeightsDoNotFit, match="does not contain the weights of resnet-18"):
        stage.make({"weights_file": tmp_path / "mine.safetensors"}, out, Heard())
    assert not list(out.iterdir())


def test_a_download_is_reported_checked_and_leaves_no_partial_file(tmp_path: Path) -> None:
    content, out, heard = small_file(tmp_path), out_folder(tmp_path), Heard()
    with serving(content) as served:
        FetchStage.published(small_row(content, served.url)).make({}, out, heard)
    assert sorted(path.name for path in out.iterdir()) == ["weights.json", "weights.safetensors"]
    assert heard.steps[-1] == ("download weights", len(content), len(content), "bytes")


def test_a_cut_download_continues_where_it_stopped(tmp_path: Path) -> None:
    content, out = small_file(tmp_path), out_folder(tmp_path)
    with serving(content) as served:
        stage = FetchStage.published(small_row(content, served.url))
        served.cut_after = 1_000_000
        with pytest.raises(DownloadFailed, match="after 1,000,000 bytes"):
            stage.make({}, out, Heard())
        served.cut_after = None
        stage.make({}, out, Heard())
    assert served.asked == [("GET", None), ("GET", "bytes=1000000-")]
    assert (out / "weights.json").exists()


def test_a_damaged_partial_download_is_started_over(tmp_path: Path) -> None:
    content, out, heard = small_file(tmp_path), out_folder(tmp_path), Heard()
    with serving(content) as served:
        spec = small_row(content, served.url)
        (out / "resume").mkdir()
        (out / "resume" / f"{weights_of(spec).file}.part").write_bytes(b"x" * 1000)
        FetchStage.published(spec).make({}, out, heard)
    assert served.asked == [("GET", "bytes=1000-"), ("GET", None)]
    assert heard.notes == [f"the resumed download of {weights_of(spec).file} is damaged; starting over"]


def test_other_bytes_than_the_published_ones_are_refused_and_not_continued(tmp_path: Path) -> None:
    content, out = small_file(tmp_path), out_folder(tmp_path)
    with serving(content + b"!") as served, pytest.raises(WeightsCorrupt) as caught:
        FetchStage.published(small_row(content, served.url)).make({}, out, Heard())
    assert caught.value.fields["expected_prefix"] == hashlib.sha256(content).hexdigest()[:8]
    assert not list((out / "resume").iterdir())
