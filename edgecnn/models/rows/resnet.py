"""ResNets as torchvision builds them (the stride sits in the 3×3 convolution: "v1.5"), their plain counterparts, and ResNet-V2.

The plain ones are torchvision's without shortcuts, to show the degradation that shortcuts cure; V2 is timm's.
"""

from __future__ import annotations

from edgecnn.models.rows.normalization import HALF, IMAGENET
from edgecnn.models.rows.sources import SLIM_299
from edgecnn.models.rows.torchvision import Family, Member
from edgecnn.values.arch import ArchSpec, PublishedAccuracy

PAPER = "Deep Residual Learning for Image Recognition, arXiv:1512.03385"
PAPER_V2 = "Identity Mappings in Deep Residual Networks, arXiv:1603.05027"

_RESNET = Family(
    name="resnet",
    head="fc",
    year=2015,
    paper=PAPER,
)
RESNETS: tuple[ArchSpec, ...] = tuple(
    _RESNET.row(member)
    for member in (
        Member(
            name="resnet-18",
            builder="resnet18",
            parameters=11_689_512,
            macs=1_814_073_344,
            depth=18,
            weights="ResNet18",
            file="resnet18-f37072fd.pth",
            top1=0.69758,
            top5=0.89078,
        ),
        Member(
            name="resnet-34",
            builder="resnet34",
            parameters=21_797_672,
            macs=3_663_761_408,
            depth=34,
            weights="ResNet34",
            file="resnet34-b627a593.pth",
            top1=0.73314,
            top5=0.9142,
        ),
        Member(
            name="resnet-50",
            builder="resnet50",
            parameters=25_557_032,
            macs=4_089_184_256,
            depth=50,
            weights="ResNet50",
            file="resnet50-0676ba61.pth",
            top1=0.7613,
            top5=0.92862,
        ),
        Member(
            name="resnet-101",
            builder="resnet101",
            parameters=44_549_160,
            macs=7_801_405_440,
            depth=101,
            weights="ResNet101",
            file="resnet101-63fe2227.pth",
            top1=0.77374,
            top5=0.93546,
        ),
        Member(
            name="resnet-152",
            builder="resnet152",
            parameters=60_192_808,
            macs=11_513_626_624,
            depth=152,
            weights="ResNet152",
            file="resnet152-394f9c45.pth",
            top1=0.78312,
            top5=0.94046,
        ),
    )
)

PLAIN: tuple[ArchSpec, ...] = (
    ArchSpec(
        name="plain-18",
        family="plain",
        origin="table",
        builder="plain18",
        parameters=11_515_688,
        macs=1_794_805_760,
        depth=18,
        resolution_px=224,
        resize_px=256,
        interpolation="bilinear",
        normalization=IMAGENET,
        head="fc",
        year=2015,
        paper=PAPER,
        accuracy=PublishedAccuracy(top1=0.7206, source="the paper, Table 2, mean of ten crops"),
    ),
    ArchSpec(
        name="plain-34",
        family="plain",
        origin="table",
        builder="plain34",
        parameters=21_623_848,
        macs=3_644_493_824,
        depth=34,
        resolution_px=224,
        resize_px=256,
        interpolation="bilinear",
        normalization=IMAGENET,
        head="fc",
        year=2015,
        paper=PAPER,
        accuracy=PublishedAccuracy(top1=0.7146, source="the paper, Table 2, mean of ten crops"),
    ),
)
RESNET_V2: tuple[ArchSpec, ...] = (
    ArchSpec(
        name="resnet-v2-50",
        family="resnet-v2",
        origin="timm",
        needs=("timm",),
        builder="resnetv2_50",
        parameters=25_549_352,
        macs=4_089_184_256,
        depth=50,
        resolution_px=224,
        resize_px=256,
        interpolation="bilinear",
        normalization=HALF,
        head="head.fc",
        year=2016,
        paper=PAPER_V2,
        accuracy=PublishedAccuracy(top1=0.756, top5=0.928, source=SLIM_299),
    ),
    ArchSpec(
        name="resnet-v2-101",
        family="resnet-v2",
        origin="timm",
        needs=("timm",),
        builder="resnetv2_101",
        parameters=44_541_480,
        macs=7_801_405_440,
        depth=101,
        resolution_px=224,
        resize_px=256,
        interpolation="bilinear",
        normalization=HALF,
        head="head.fc",
        year=2016,
        paper=PAPER_V2,
        accuracy=PublishedAccuracy(top1=0.77, top5=0.937, source=SLIM_299),
    ),
    ArchSpec(
        name="resnet-v2-152",
        family="resnet-v2",
        origin="timm",
        needs=("timm",),
        builder="resnetv2_152",
        parameters=60_185_128,
        macs=11_513_626_624,
        depth=152,
        resolution_px=224,
        resize_px=256,
        interpolation="bilinear",
        normalization=HALF,
        head="head.fc",
        year=2016,
        paper=PAPER_V2,
        accuracy=PublishedAccuracy(top1=0.778, top5=0.941, source=SLIM_299),
    ),
)
