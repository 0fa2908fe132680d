"""GoogLeNet and Inception-v3 from torchvision; Xception, Inception-ResNet-v2 and the cells of NASNet-A from timm.

All take pixels in -1…1; torchvision's own recipe for its two normalizes twice, with the same result. Auxiliary heads are counted
separately, because they do not ship. Weights of the timm networks are not downloaded here, because timm's files are not those of
the published figures. ``--arch timm:NAME`` downloads them, and ``--weights FILE`` accepts one.
"""

from __future__ import annotations

from edgecnn.models.rows.family import HALF, SLIM, Family, Member
from edgecnn.values.arch import Auxiliary

GOING_DEEPER = "Going Deeper with Convolutions, arXiv:1409.4842"
RETHINKING = "Rethinking the Inception Architecture for Computer Vision, arXiv:1512.00567"
XCEPTION = "Xception: Deep Learning with Depthwise Separable Convolutions, arXiv:1610.02357"
INCEPTION_RESNET = "Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning, arXiv:1602.07261"
NASNET = "Learning Transferable Architectures for Scalable Image Recognition, arXiv:1707.07012"

GOOGLENETS = Family(name="googlenet", head="fc", year=2014, paper=GOING_DEEPER, normalization=HALF).rows(
    Member(name="googlenet", builder="googlenet", parameters=6_624_904, macs=1_498_376_192, depth=22, weights="GoogLeNet",
           file="googlenet-1378be20.pth", top1=0.69778, top5=0.8953,
           auxiliary=Auxiliary(heads=("aux1.fc2", "aux2.fc2"), parameters=6_379_984, weight=0.3)),
)  # fmt: skip

INCEPTIONS = Family(name="inception-v3", head="fc", year=2015, paper=RETHINKING, normalization=HALF, least_px=75).rows(
    Member(name="inception-v3", builder="inception_v3", parameters=23_834_568, macs=5_713_216_096, depth=48,
           weights="Inception_V3", file="inception_v3_google-0cc3c7bd.pth", top1=0.77294, top5=0.9345, resize_px=342,
           resolution_px=299, auxiliary=Auxiliary(heads=("AuxLogits.fc",), parameters=3_326_696, weight=0.3)),
)  # fmt: skip

XCEPTIONS = Family(
    name="xception", origin="timm", needs=("timm",), head="fc", year=2016, paper=XCEPTION, normalization=HALF,
    interpolation="bicubic", source="the paper, Table 1"
).rows(
    Member(name="xception", builder="legacy_xception", parameters=22_855_952, macs=8_357_403_496, depth=71, top1=0.79, top5=0.945,
           resize_px=333, resolution_px=299),
)  # fmt: skip

INCEPTION_RESNETS = Family(
    name="inception-resnet-v2", origin="timm", needs=("timm",), head="classif", year=2016, paper=INCEPTION_RESNET,
    normalization=HALF, interpolation="bicubic", least_px=75, source=SLIM
).rows(
    Member(name="inception-resnet-v2", builder="inception_resnet_v2", parameters=55_843_464, macs=13_155_794_016, depth=176,
           top1=0.804, top5=0.953, resize_px=333, resolution_px=299),
)  # fmt: skip

OF_TIMM = (*XCEPTIONS, *INCEPTION_RESNETS)

NASNETS_MOBILE = Family(
    name="nasnet", origin="table", needs=("timm",), head="fc", year=2017, paper=NASNET, normalization=HALF,
    source="the paper, Table 3"
).rows(
    Member(name="nasnet-mobile", builder="nasnet_mobile", parameters=5_289_978, macs=563_638_816, depth=98, top1=0.74,
           top5=0.916),
)  # fmt: skip

NASNETS_LARGE = Family(
    name="nasnet", origin="table", needs=("timm",), head="fc", year=2017, paper=NASNET, normalization=HALF,
    interpolation="bicubic", source="the paper, Table 2"
).rows(
    Member(name="nasnet-large", builder="nasnet_large", parameters=88_753_150, macs=23_783_414_658, depth=128, top1=0.827,
           top5=0.962, resize_px=363, resolution_px=331),
)  # fmt: skip

NASNETS = (*NASNETS_MOBILE, *NASNETS_LARGE)
