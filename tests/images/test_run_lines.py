"""The lines of an image, carried out one after the other in a fresh Debian tree: there is no engine to build it with."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.building.bundle.sealed import KIT_FOLDER, published
from tests.images.chroot import Image, carried_out, debian


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Image:
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        pytest.skip("needs root, and: apt-get install debootstrap")
    return carried_out("Dockerfile.device", debian(tmp_path_factory.mktemp("image")), {})


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
