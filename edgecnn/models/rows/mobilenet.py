"""MobileNet V1 by our own table, with its width multipliers; V2 and V3 as torchvision builds and publishes them."""

from __future__ import annotations

from edgecnn.models.rows.normalization import HALF
from edgecnn.models.rows.torchvision import Family, Member
from edgecnn.values.arch import ArchSpec, PublishedAccuracy

PAPER_V1 = "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications, arXiv:1704.04861"
PAPER_V2 = "MobileNetV2: Inverted Residuals and Linear Bottlenecks, arXiv:1801.04381"
PAPER_V3 = "Searching for MobileNetV3, arXiv:1905.02244"

MOBILENET_V1: tuple[ArchSpec, ...] = (
    ArchSpec(
        name="mobilenet-v1",
        family="mobilenet-v1",
        origin="table",
        builder="mobilenet_v1_100",
        parameters=4_231_976,
        macs=568_740_352,
        depth=28,
        resolution_px=224,
        resize_px=256,
        interpolation="bilinear",
        normalization=HALF,
        head="classifier.1",
        year=2017,
        paper=PAPER_V1,
        accuracy=PublishedAccuracy(top1=0.706, source="the paper, Table 6"),
    ),
    ArchSpec(
        name="mobilenet-v1-0.75",
        family="mobilenet-v1",
        origin="table",
        builder="mobilenet_v1_075",
        parameters=2_585_560,
        macs=325_400_448,
        depth=28,
        resolution_px=224,
        resize_px=256,
        interpolation="bilinear",
        normalization=HALF,
        head="classifier.1",
        year=2017,
        paper=PAPER_V1,
        accuracy=PublishedAccuracy(top1=0.684, source="the paper, Table 6"),
    ),
    ArchSpec(
        name="mobilenet-v1-0.5",
        family="mobilenet-v1",
        origin="table",
        builder="mobilenet_v1_050",
        parameters=1_331_592,
        macs=149_497_088,
        depth=28,
        resolution_px=224,
        resize_px=256,
        interpolation="bilinear",
        normalization=HALF,
        head="classifier.1",
        year=2017,
        paper=PAPER_V1,
        accuracy=PublishedAccuracy(top1=0.637, source="the paper, Table 6"),
    ),
    ArchSpec(
        name="mobilenet-v1-0.25",
        family="mobilenet-v1",
        origin="table",
        builder="mobilenet_v1_025",
        parameters=470_072,
        macs=41_030_272,
        depth=28,
        resolution_px=224,
        resize_px=256,
        interpolation="bilinear",
        normalization=HALF,
        head="classifier.1",
        year=2017,
        paper=PAPER_V1,
        accuracy=PublishedAccuracy(top1=0.506, source="the paper, Table 6"),
    ),
)
_V2 = Family(
    name="mobilenet-v2",
    head="classifier.1",
    year=2018,
    paper=PAPER_V2,
)
MOBILENET_V2: tuple[ArchSpec, ...] = tuple(
    _V2.row(member)
    for member in (
        Member(
            name="mobilenet-v2",
            builder="mobilenet_v2",
            parameters=3_504_872,
            macs=300_774_272,
            depth=53,
            weights="MobileNet_V2",
            file="mobilenet_v2-b0353104.pth",
            top1=0.71878,
            top5=0.90286,
        ),
    )
)

_V3 = Family(
    name="mobilenet-v3",
    head="classifier.3",
    year=2019,
    paper=PAPER_V3,
)
MOBILENET_V3: tuple[ArchSpec, ...] = tuple(
    _V3.row(member)
    for member in (
        Member(
            name="mobilenet-v3-small",
            builder="mobilenet_v3_small",
            parameters=2_542_856,
            macs=56_510_400,
            depth=54,
            weights="MobileNet_V3_Small",
            file="mobilenet_v3_small-047dcff4.pth",
            top1=0.67668,
            top5=0.87402,
        ),
        Member(
            name="mobilenet-v3-large",
            builder="mobilenet_v3_large",
            parameters=5_483_032,
            macs=216_589_760,
            depth=64,
            weights="MobileNet_V3_Large",
            file="mobilenet_v3_large-8738ca79.pth",
            top1=0.74042,
            top5=0.9134,
        ),
    )
)
