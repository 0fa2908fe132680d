from __future__ import annotations

import subprocess
import sys

import pytest
import torch
import torchvision

from edgecnn.errors.models import UnknownArch
from edgecnn.models.catalogue import all_archs, arch_named, pixel_recipe
from edgecnn.models.networks import build_network, head_of, parameter_count
from edgecnn.values.arch import ArchSpec
from edgecnn.values.preprocessing import PixelRecipe

EVERY = pytest.mark.parametrize("spec", all_archs(), ids=lambda spec: spec.name)
FROM_TORCHVISION = pytest.mark.parametrize(
    "spec", [s for s in all_archs() if s.origin == "torchvision"], ids=lambda spec: spec.name
)


@EVERY
def test_parameter_count_is_the_declared_one(spec: ArchSpec) -> None:
    with torch.device("meta"):
        assert parameter_count(build_network(spec)) == spec.parameters


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("mobilenet-v2", 3_504_872),
        ("mobilenet-v3-large", 5_483_032),
        ("resnet-18", 11_689_512),
        ("resnet-50", 25_557_032),
        ("efficientnet-b0", 5_288_548),
        ("efficientnet-b3", 12_233_232),
        ("efficientnet-b7", 66_347_960),
    ],
)
def test_declared_counts_are_the_published_ones(name: str, parameters: int) -> None:
    assert arch_named(name).parameters == parameters


@FROM_TORCHVISION
def test_rows_say_what_torchvision_publishes_with_its_weights(spec: ArchSpec) -> None:
    assert spec.weights is not None
    entry = torchvision.models.get_weight(spec.weights.name)
    recipe = entry.transforms()
    assert spec.weights.url == entry.url
    assert entry.url.endswith(f"/{spec.weights.file}")
    assert spec.weights.file.endswith(f"-{spec.weights.sha256_prefix}.pth")
    assert spec.parameters == entry.meta["num_params"]
    assert (recipe.crop_size, recipe.resize_size) == ([spec.resolution_px], [spec.resize_px])
    assert recipe.interpolation.value == spec.interpolation
    assert (tuple(recipe.mean), tuple(recipe.std)) == (spec.normalization.mean, spec.normalization.std)


@EVERY
def test_the_head_is_the_last_layer_and_is_replaced(spec: ArchSpec) -> None:
    with torch.device("meta"):
        network = build_network(spec, 7)
    last = [name for name, module in network.named_modules() if not list(module.children())][-1]
    assert last == spec.head
    assert head_of(network, spec).out_features == 7


def test_lite_pixels_become_what_tensorflow_gave_the_network() -> None:
    normalization = arch_named("efficientnet-lite0").normalization
    for level in (0, 127, 255):
        value = (level / 255 - normalization.mean[0]) / normalization.std[0]
        assert value == pytest.approx((level - 127) / 128, abs=1e-12)


def test_names_are_unique() -> None:
    names = [spec.name for spec in all_archs()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [("efficientnet_b0", "efficientnet-b0"), ("resnet18", "resnet-18"), ("MobileNet-V3-Larg", "mobilenet-v3-large")],
)
def test_an_unknown_name_is_answered_with_the_nearest(asked: str, nearest: str) -> None:
    with pytest.raises(UnknownArch, match=f"did you mean {nearest}"):
        arch_named(asked)


def test_the_published_margin_is_kept_at_the_native_resolution_alone() -> None:
    spec = arch_named("efficientnet-lite1")
    assert pixel_recipe(spec) == PixelRecipe(resize_px=272, crop_px=240, interpolation="bicubic")
    assert pixel_recipe(spec, 240) == pixel_recipe(spec)
    assert pixel_recipe(spec, 64) == PixelRecipe(resize_px=64, crop_px=64, interpolation="bicubic")


def test_listing_and_answering_import_no_torch() -> None:
    program = (
        "import sys; import edgecnn.models.catalogue, edgecnn.models.weights, edgecnn.models.defaults; "
        "import edgecnn.stages.fetch, edgecnn.stages.train; "
        "sys.exit(','.join({'torch', 'torchvision', 'numpy', 'safetensors'} & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
