from __future__ import annotations

import subprocess
import sys

import pytest
import torch
import torchvision

from edgecnn.errors.weights import UnknownArch
from edgecnn.models.catalogue import all_archs, arch_named, pixel_recipe
from edgecnn.models.networks import build_network, head_of, parameter_count, shipped_parameter_count, shipping_shapes
from edgecnn.models.rows import HALF
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.arch import ArchSpec
from edgecnn.values.preprocessing import PixelRecipe

EVERY = pytest.mark.parametrize("spec", all_archs(), ids=lambda spec: spec.name)
FROM_TORCHVISION = pytest.mark.parametrize(
    "spec", [s for s in all_archs() if s.origin == "torchvision"], ids=lambda spec: spec.name
)


@EVERY
def test_parameter_count_is_the_declared_one(spec: ArchSpec) -> None:
    with torch.device("meta"):
        network = build_network(spec, spec.classes)
    shipped = shipped_parameter_count(shipping_shapes(spec, spec.classes), spec)
    assert (shipped, parameter_count(network) - shipped) == (spec.parameters, spec.left_out)


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
        ("alexnet", 61_100_840),
        ("alexnet-2012", 60_965_224),  # two towers
        ("alexnet-2012-ungrouped", 62_378_344),
        ("zfnet", 62_357_608),  # Table 1.4 of "Computational Analysis and Deep Learning for Medical Care", 2021
        ("vgg-16", 138_357_544),
        ("vgg-19", 143_667_240),
        ("mobilenet-v1", 4_231_976),  # TF-slim's list of checkpoints
        ("nasnet-mobile", 5_289_978),  # pretrainedmodels' nasnetamobile
        ("nasnet-large", 88_753_150),  # timm's nasnetalarge
        ("lenet-5", 60_000 + 84 * 10 + 10),  # the paper counts up to F6
        ("plain-18", 11_689_512 - 173_824),  # ResNet-18 without its three projections
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
    assert entry.meta["num_params"] in (spec.parameters, spec.parameters + spec.left_out)
    assert spec.macs == pytest.approx(
        entry.meta["_ops"] * 1e9, rel=0.01, abs=5e5
    )  # it gives three decimals of a thousand million
    assert spec.weights_mib == pytest.approx(entry.meta["_file_size"], rel=0.03) or spec.auxiliary is not None
    assert spec.accuracy is not None
    metrics = entry.meta["_metrics"]["ImageNet-1K"]
    assert (spec.accuracy.top1, spec.accuracy.top5) == pytest.approx((metrics["acc@1"] / 100, metrics["acc@5"] / 100))
    assert (recipe.crop_size, recipe.resize_size) == ([spec.resolution_px.stated], [spec.resize_px.stated])
    assert recipe.interpolation.value == spec.interpolation
    if spec.auxiliary is None:
        assert (tuple(recipe.mean), tuple(recipe.std)) == (spec.normalization.mean, spec.normalization.std)
    else:  # torchvision's network normalizes once more, to -1…1
        assert spec.normalization == HALF


@EVERY
def test_the_head_is_the_last_layer_and_is_replaced(spec: ArchSpec) -> None:
    with torch.device("meta"):
        network = build_network(spec, 7)
    assert all(network.get_submodule(name).out_features == 7 for name in spec.last_layers)
    if spec.family == "nin":
        last = "head"  # the mean over places comes after it
    else:
        leaves = [(name, module) for name, module in network.named_modules() if not list(module.children())]
        last = [name for name, module in leaves if not isinstance(module, (torch.nn.Identity, torch.nn.Flatten))][-1]
    assert last in (spec.head, *spec.beside)
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
    ("text", "nearest"),
    [("efficientnet_b0", "efficientnet-b0"), ("resnet18", "resnet-18"), ("MobileNet-V3-Larg", "mobilenet-v3-large")],
)
def test_an_unknown_name_is_answered_with_the_nearest(text: str, nearest: str) -> None:
    with pytest.raises(UnknownArch, match=f"did you mean {nearest}"):
        arch_named(text)


def test_the_published_margin_is_kept_at_the_native_resolution_alone() -> None:
    spec = arch_named("efficientnet-lite1")
    assert pixel_recipe(spec) == PixelRecipe(resize_px=272, crop_px=240, interpolation="bicubic")
    assert pixel_recipe(spec, ImageSize.square(240)) == pixel_recipe(spec)
    assert pixel_recipe(spec, ImageSize.square(64)) == PixelRecipe(resize_px=64, crop_px=64, interpolation="bicubic")


def test_listing_and_answering_import_no_torch() -> None:
    program = (
        "import sys; import edgecnn.models.catalogue, edgecnn.models.weights, edgecnn.training.settings; "
        "import edgecnn.stages.weights, edgecnn.stages.learning; "
        "sys.exit(','.join({'torch', 'torchvision', 'numpy', 'safetensors'} & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
