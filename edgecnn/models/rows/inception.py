"""GoogLeNet and Inception-v3 as torchvision has them, Xception and Inception-ResNet-v2 as timm has them.

The pixels of all four are -1…1: torchvision's own recipe for its two normalizes twice, to the same numbers. Their auxiliary heads
are counted apart, since nothing of them ships. timm's weights lie on a hub whose files carry no digest in their names: bring them
with ``--weights FILE``.
"""

from __future__ import annotations

from edgecnn.models.rows.normalization import HALF
from edgecnn.models.rows.sources import SLIM
from edgecnn.models.rows.torchvision import Family, Member
from edgecnn.values.arch import ArchSpec, Auxiliary, PublishedAccuracy

RETHINKING = "Rethinking the Inception Architecture for Computer Vision, arXiv:1512.00567"
INCEPTION_RESNET = "Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning, arXiv:1602.07261"

_GOOGLENET = Family(
    name="googlenet",
    head="fc",
    year=2014,
    paper="Going Deeper with Convolutions, arXiv:1409.4842",
    normalization=HALF,
)
GOOGLENETS: tuple[ArchSpec, ...] = tuple(
    _GOOGLENET.row(member)
    for member in (
        Member(
            name="googlenet",
            builder="googlenet",
            parameters=6_624_904,
            macs=1_498_376_192,
            depth=22,
            weights="GoogLeNet",
            file="googlenet-1378be20.pth",
            top1=0.69778,
            top5=0.8953,
            auxiliary=Auxiliary(heads=("aux1.fc2", "aux2.fc2"), parameters=6_379_984, weight=0.3),
        ),
    )
)

_INCEPTION_V3 = Family(
    name="inception-v3",
    head="fc",
    year=2015,
    paper=RETHINKING,
    normalization=HALF,
    least_px=75,
)
INCEPTIONS: tuple[ArchSpec, ...] = tuple(
    _INCEPTION_V3.row(member)
    for member in (
        Member(
            name="inception-v3",
            builder="inception_v3",
            parameters=23_834_568,
            macs=5_713_216_096,
            depth=48,
            weights="Inception_V3",
            file="inception_v3_google-0cc3c7bd.pth",
            top1=0.77294,
            top5=0.9345,
            resize_px=342,
            resolution_px=299,
            auxiliary=Auxiliary(heads=("AuxLogits.fc",), parameters=3_326_696, weight=0.3),
        ),
    )
)

OF_TIMM: tuple[ArchSpec, ...] = (
    ArchSpec(
        name="xception",
        family="xception",
        origin="timm",
        needs=("timm",),
        builder="legacy_xception",
        parameters=22_855_952,
        macs=8_357_403_496,
        depth=71,
        resolution_px=299,
        resize_px=333,
        interpolation="bicubic",
        normalization=HALF,
        head="fc",
        year=2016,
        paper="Xception: Deep Learning with Depthwise Separable Convolutions, arXiv:1610.02357",
        accuracy=PublishedAccuracy(top1=0.79, top5=0.945, source="the paper, Table 1"),
    ),
    ArchSpec(
        name="inception-resnet-v2",
        family="inception-resnet-v2",
        origin="timm",
        needs=("timm",),
        builder="inception_resnet_v2",
        parameters=55_843_464,
        macs=13_155_794_016,
        depth=176,
        resolution_px=299,
        least_px=75,
        resize_px=333,
        interpolation="bicubic",
        normalization=HALF,
        head="classif",
        year=2016,
        paper=INCEPTION_RESNET,
        accuracy=PublishedAccuracy(top1=0.804, top5=0.953, source=SLIM),
    ),
)
