"""``torchvision:NAME`` is made of a local copy once, and where there is none and no network that is said."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecnn.data.formats.published import SETS
from edgecnn.data.images import demo_digests, demo_images
from edgecnn.data.inspection import inspect
from edgecnn.data.manifest import summarize
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.data import PUBLISHED_DATA_UNAVAILABLE, UNKNOWN_PUBLISHED_DATA
from edgecnn.planning.recipe import load_recipe
from edgecnn.values.dataset import DataSummary
from edgecnn.values.recipe import DataChoice
from tests.data.folders import Heard

EACH = {"train": 200, "t10k": 100}
NAME = "torchvision:FashionMNIST"


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Real pictures in the files that torchvision keeps of Fashion-MNIST (IDX, as the data set's page has it)."""
    raw = tmp_path / "copies" / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    labels = np.array([label for label, _ in demo_digests()], np.uint8)
    start = 0
    for part, count in EACH.items():
        chosen = slice(start, start + count)
        pixels = np.ascontiguousarray(demo_images()[chosen])
        header = np.array([0x803, count, 28, 28], ">u4").tobytes()
        (raw / f"{part}-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(np.array([0x801, count], ">u4").tobytes() + labels[chosen].tobytes())
        start += count
    monkeypatch.setenv("EDGECNN_TORCHVISION", str(tmp_path / "copies"))
    monkeypatch.setenv("EDGECNN_OFFLINE", "1")
    return tmp_path / "copies"


def summary_of(name: str, tmp_path: Path, heard: Heard | None = None) -> DataSummary:
    return summarize(DataChoice(path=name), tmp_path / "store", heard or Heard())


def test_a_local_copy_becomes_the_splits_and_classes_that_torchvision_has(copies: Path, tmp_path: Path) -> None:
    summary = summary_of(NAME, tmp_path)
    names = ("T-shirt-top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
    assert summary.classes == names, "in the order of the labels, as a network that was trained on the set answers"
    assert (sum(summary.counts.values()), summary.counts["test"]) == (300, 100)
    assert summary.splits_from.startswith("test/ (100)")
    assert summary.root == NAME
    manifest = json.loads(Path(summary.manifest_path).read_text())
    root, labels = Path(manifest["root"]), [label for label, _ in demo_digests()]
    assert {image["label"] for image in manifest["images"] if "/Trouser/" in image["path"]} == {1}
    assert np.array_equal(np.asarray(Image.open(root / "train" / names[labels[7]] / "000007.png")), demo_images()[7])


def test_its_name_and_no_folder_of_the_store_is_what_an_inspection_states(copies: Path, tmp_path: Path) -> None:
    assert inspect(DataChoice(path=NAME), tmp_path / "store", Heard()).facts.root == NAME


def test_it_is_made_once(copies: Path, tmp_path: Path) -> None:
    first = summary_of(NAME, tmp_path)
    (copies / "FashionMNIST").rename(copies / "gone")
    heard = Heard()
    assert summary_of(NAME, tmp_path, heard).content == first.content
    assert not [step for step in heard.steps if step[0].startswith("torchvision")]


def test_without_a_copy_and_without_a_network_it_is_said_where_one_belongs(copies: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=PUBLISHED_DATA_UNAVAILABLE.made) as caught:
        summary_of("torchvision:CIFAR10", tmp_path)
    assert (caught.value.ref, caught.value.fields["because"]) == (
        "published-data-unavailable",
        "Dataset not found or corrupted; EDGECNN_OFFLINE is on",
    )
    assert not list((tmp_path / "store" / "archives").glob("torchvision-*"))


def test_a_download_that_fails_is_said_and_not_a_traceback(copies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGECNN_OFFLINE")
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    heard = Heard()
    urllib.request.install_opener(None)  # type: ignore[arg-type] # urllib keeps the first proxies that it saw
    try:
        with pytest.raises(
            EdgecnnError,
            match=r"torchvision:CIFAR10 is not in .* and could not be downloaded: ",
            check=PUBLISHED_DATA_UNAVAILABLE.made,
        ):
            summary_of("torchvision:CIFAR10", tmp_path, heard)
    finally:
        urllib.request.install_opener(None)  # type: ignore[arg-type]
    assert heard.notes == [f"torchvision:CIFAR10: no copy in {copies}; torchvision downloads it"]


def test_a_name_that_is_none_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=UNKNOWN_PUBLISHED_DATA.made) as caught:
        summary_of("torchvision:cifar-10", tmp_path)
    assert caught.value.ref == "unknown-published-data"


def test_every_name_is_one_of_torchvision_s() -> None:
    from torchvision import datasets

    assert [name for name in SETS if not hasattr(datasets, name)] == []


def test_a_recipe_s_name_is_no_path_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('schema = "edgecnn.recipe/2"\n[data]\npath = "torchvision:CIFAR10"\n')
    assert load_recipe(tmp_path / "mine.toml").data.path == "torchvision:CIFAR10"
