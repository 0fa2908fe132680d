"""The lines of both images, carried out one after the other in a fresh Debian tree: there is no engine to build them with."""

from __future__ import annotations

import json
import os
import shutil
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.building.builds import place_with_photos
from tests.bundle.sealed import KIT_FOLDER, published
from tests.images.chroot import Image, carried_out, debian
from tests.images.dockerfile import instructions


def in_a_fresh_tree(name: str, root: Path, arguments: Mapping[str, str]) -> Iterator[Image]:
    """The image of a Dockerfile, which is dropped afterwards: the building one takes seven gigabytes."""
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        pytest.skip("needs root, and: apt-get install debootstrap")
    try:
        yield carried_out(name, debian(root), arguments)
    finally:
        shutil.rmtree(root)


def torch_arguments() -> dict[str, str]:
    """Torch's own index as the file has it; where that cannot be reached, the build of the package registry."""
    (index,) = [text.partition("=")[2] for word, text in instructions("Dockerfile") if text.startswith("TORCH_INDEX=")]
    try:
        urllib.request.urlopen(index, timeout=10).close()
    except (urllib.error.URLError, TimeoutError) as error:
        warnings.warn(f"{index}: {error}; torch is that of the package registry", stacklevel=2)
        return {"TORCH_INDEX": ""}
    return {}


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    yield from in_a_fresh_tree("Dockerfile.device", tmp_path_factory.mktemp("device"), {})


@pytest.fixture(scope="module")
def building(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    yield from in_a_fresh_tree("Dockerfile", tmp_path_factory.mktemp("building"), torch_arguments())


@pytest.mark.full  # needs root, debootstrap and a package registry
def test_the_device_image_is_healthy_as_its_own_user_and_has_no_torch(device: Image) -> None:
    assert device.run("id", "-u").stdout == "10001\n"
    health = device.run(*device.healthcheck)
    assert health.returncode == 0, health.stdout + health.stderr
    assert device.run("python", "-c", "import torch").returncode == 1
    assert not (device.root / "src").exists()


@pytest.mark.full  # needs root, debootstrap and a package registry
def test_the_device_image_answers_a_photograph_from_a_bundle(device: Image, tmp_path: Path) -> None:
    bundle = published(tmp_path / "flowers")
    shutil.copytree(bundle, device.root / "bundle", dirs_exist_ok=True)
    done = device.run(*device.entrypoint, "predict", "/bundle", f"/bundle/{KIT_FOLDER}/golden/photo.jpg", "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["predictions"][0]["labels"]) == 4


@pytest.mark.full  # needs root, debootstrap and a package registry, and fetches up to 3 GB
def test_the_building_image_is_healthy_as_its_own_user(building: Image) -> None:
    assert building.run("id", "-u").stdout == "10001\n"
    health = building.run(*building.healthcheck)
    assert health.returncode == 0, health.stdout + health.stderr
    assert not (building.root / "src").exists()


@pytest.mark.full  # needs root, debootstrap and a package registry, and fetches up to 3 GB
def test_the_building_image_builds_from_photographs_into_its_folder(building: Image, tmp_path: Path) -> None:
    photos = place_with_photos(tmp_path, each=20).photos
    shutil.copytree(photos, building.root / "work" / "photos")
    few = [word for key in ("train.epochs=1", "train.batch_size=16", "model.resolution_px=32") for word in ("--set", key)]
    done = building.run(
        *building.entrypoint, "build", "--arch", "resnet-18", "--weights", "none", "--target", "raspberry-pi-5:onnxruntime",
        "--data", "photos", "--out", "out", "--max", "drop_pp=100", *few,
    )  # fmt: skip
    assert done.returncode in (0, 4), done.stderr
    assert (building.root / "work/out/bundle/choice.json").is_file()
