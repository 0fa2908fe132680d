"""MobileNet V2 and V3 as torchvision builds and publishes them."""

from __future__ import annotations

from edgecnn.models.rows.normalization import IMAGENET
from edgecnn.values.arch import ArchSpec, PretrainedWeights

PAPER_V2 = "MobileNetV2: Inverted Residuals and Linear Bottlenecks, arXiv:1801.04381"
PAPER_V3 = "Searching for MobileNetV3, arXiv:1905.02244"
LICENCE = "BSD-3-Clause (torchvision); ImageNet's terms may apply"

MOBILENETS: tuple[ArchSpec, ...] = (
    ArchSpec(
        name="mobilenet-v2",
        family="mobilenet-v2",
        origin="torchvision",
        builder="mobilenet_v2",
        parameters=3_504_872,
        resolution_px=224,
        resize_px=256,
        interpolation="bilinear",
        normalization=IMAGENET,
        head="classifier.1",
        year=2018,
        paper=PAPER_V2,
        weights=PretrainedWeights(
            origin="torchvision",
            name="MobileNet_V2_Weights.IMAGENET1K_V1",
            file="mobilenet_v2-b0353104.pth",
            sha256_prefix="b0353104",
            url="https://download.pytorch.org/models/mobilenet_v2-b0353104.pth",
            licence=LICENCE,
            source="https://docs.pytorch.org/vision/stable/models/generated/torchvision.models.mobilenet_v2.html",
        ),
    ),
    ArchSpec(
        name="mobilenet-v3-small",
        family="mobilenet-v3",
        origin="torchvision",
        builder="mobilenet_v3_small",
        parameters=2_542_856,
        resolution_px=224,
        resize_px=256,
        interpolation="bilinear",
        normalization=IMAGENET,
        head="classifier.3",
        year=2019,
        paper=PAPER_V3,
        weights=PretrainedWeights(
            origin="torchvision",
            name="MobileNet_V3_Small_Weights.IMAGENET1K_V1",
            file="mobilenet_v3_small-047dcff4.pth",
            sha256_prefix="047dcff4",
            url="https://download.pytorch.org/models/mobilenet_v3_small-047dcff4.pth",
            licence=LICENCE,
            source="https://docs.pytorch.org/vision/stable/models/generated/torchvision.models.mobilenet_v3_small.html",
        ),
    ),
    ArchSpec(
        name="mobilenet-v3-large",
        family="mobilenet-v3",
        origin="torchvision",
        builder="mobilenet_v3_large",
        parameters=5_483_032,
        resolution_px=224,
        resize_px=256,
        interpolation="bilinear",
        normalization=IMAGENET,
        head="classifier.3",
        year=2019,
        paper=PAPER_V3,
        weights=PretrainedWeights(
            origin="torchvision",
            name="MobileNet_V3_Large_Weights.IMAGENET1K_V1",
            file="mobilenet_v3_large-8738ca79.pth",
            sha256_prefix="8738ca79",
            url="https://download.pytorch.org/models/mobilenet_v3_large-8738ca79.pth",
            licence=LICENCE,
            source="https://docs.pytorch.org/vision/stable/models/generated/torchvision.models.mobilenet_v3_large.html",
        ),
    ),
)
