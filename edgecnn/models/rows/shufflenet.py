"""ShuffleNet V1 with three groups by our own table, V2 as torchvision builds and publishes it."""

from __future__ import annotations

from edgecnn.models.rows.normalization import IMAGENET
from edgecnn.models.rows.sources import SHUFFLENETS
from edgecnn.models.rows.torchvision import Family, Member
from edgecnn.values.arch import ArchSpec, PublishedAccuracy

PAPER_V1 = "ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices, arXiv:1707.01083"
PAPER_V2 = "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design, arXiv:1807.11164"

SHUFFLENET_V1: tuple[ArchSpec, ...] = (
    ArchSpec(
        name="shufflenet-v1-x0.5",
        family="shufflenet-v1",
        origin="table",
        builder="shufflenet_v1_x0_5",
        parameters=718_324,
        macs=37_589_856,
        depth=50,
        resolution_px=224,
        resize_px=256,
        interpolation="bilinear",
        normalization=IMAGENET,
        head="fc",
        year=2017,
        paper=PAPER_V1,
        accuracy=PublishedAccuracy(top1=0.573, top5=0.8, source=SHUFFLENETS),
    ),
    ArchSpec(
        name="shufflenet-v1-x1.0",
        family="shufflenet-v1",
        origin="table",
        builder="shufflenet_v1_x1_0",
        parameters=1_865_728,
        macs=137_460_672,
        depth=50,
        resolution_px=224,
        resize_px=256,
        interpolation="bilinear",
        normalization=IMAGENET,
        head="fc",
        year=2017,
        paper=PAPER_V1,
        accuracy=PublishedAccuracy(top1=0.678, top5=0.877, source=SHUFFLENETS),
    ),
    ArchSpec(
        name="shufflenet-v1-x1.5",
        family="shufflenet-v1",
        origin="table",
        builder="shufflenet_v1_x1_5",
        parameters=3_442_168,
        macs=292_443_552,
        depth=50,
        resolution_px=224,
        resize_px=256,
        interpolation="bilinear",
        normalization=IMAGENET,
        head="fc",
        year=2017,
        paper=PAPER_V1,
        accuracy=PublishedAccuracy(top1=0.716, top5=0.902, source=SHUFFLENETS),
    ),
    ArchSpec(
        name="shufflenet-v1-x2.0",
        family="shufflenet-v1",
        origin="table",
        builder="shufflenet_v1_x2_0",
        parameters=5_450_776,
        macs=524_045_184,
        depth=50,
        resolution_px=224,
        resize_px=256,
        interpolation="bilinear",
        normalization=IMAGENET,
        head="fc",
        year=2017,
        paper=PAPER_V1,
        accuracy=PublishedAccuracy(top1=0.741, top5=0.914, source=SHUFFLENETS),
    ),
)
_V2 = Family(
    name="shufflenet-v2",
    head="fc",
    year=2018,
    paper=PAPER_V2,
)
SHUFFLENET_V2: tuple[ArchSpec, ...] = tuple(
    _V2.row(member)
    for member in (
        Member(
            name="shufflenet-v2-x0.5",
            builder="shufflenet_v2_x0_5",
            parameters=1_366_792,
            macs=40_476_448,
            depth=51,
            weights="ShuffleNet_V2_X0_5",
            file="shufflenetv2_x0.5-f707e7126e.pth",
            top1=0.60552,
            top5=0.81746,
        ),
        Member(
            name="shufflenet-v2-x1.0",
            builder="shufflenet_v2_x1_0",
            parameters=2_278_604,
            macs=144_907_992,
            depth=51,
            weights="ShuffleNet_V2_X1_0",
            file="shufflenetv2_x1-5666bf0f80.pth",
            top1=0.69362,
            top5=0.88316,
        ),
        Member(
            name="shufflenet-v2-x1.5",
            builder="shufflenet_v2_x1_5",
            parameters=3_503_624,
            macs=295_759_392,
            depth=51,
            weights="ShuffleNet_V2_X1_5",
            file="shufflenetv2_x1_5-3c479a10.pth",
            top1=0.72996,
            top5=0.91086,
            resize_px=232,
            resolution_px=224,
        ),
        Member(
            name="shufflenet-v2-x2.0",
            builder="shufflenet_v2_x2_0",
            parameters=7_393_996,
            macs=583_253_464,
            depth=51,
            weights="ShuffleNet_V2_X2_0",
            file="shufflenetv2_x2_0-8be3c8ee.pth",
            top1=0.7623,
            top5=0.93006,
            resize_px=232,
            resolution_px=224,
        ),
    )
)
