"""ResNets as torchvision builds them (with the stride in the 3×3 convolution: "v1.5"), networks derived from them, and DenseNets.

The plain networks are torchvision's without shortcuts; they show the degradation that shortcuts prevent. V2 is timm's. The last
ResNeXt was trained with torchvision's newer recipe.
"""

from __future__ import annotations

from edgecnn.models.rows.family import HALF, SLIM_299, Family, Member

PAPER = "Deep Residual Learning for Image Recognition, arXiv:1512.03385"
PAPER_V2 = "Identity Mappings in Deep Residual Networks, arXiv:1603.05027"
AGGREGATED = "Aggregated Residual Transformations for Deep Neural Networks, arXiv:1611.05431"
DENSE = "Densely Connected Convolutional Networks, arXiv:1608.06993"

RESNETS = Family(name="resnet", head="fc", year=2015, paper=PAPER).rows(
    Member(name="resnet-18", builder="resnet18", parameters=11_689_512, macs=1_814_073_344, depth=18, weights="ResNet18",
           file="resnet18-f37072fd.pth", top1=0.69758, top5=0.89078),
    Member(name="resnet-34", builder="resnet34", parameters=21_797_672, macs=3_663_761_408, depth=34, weights="ResNet34",
           file="resnet34-b627a593.pth", top1=0.73314, top5=0.9142),
    Member(name="resnet-50", builder="resnet50", parameters=25_557_032, macs=4_089_184_256, depth=50, weights="ResNet50",
           file="resnet50-0676ba61.pth", top1=0.7613, top5=0.92862),
    Member(name="resnet-101", builder="resnet101", parameters=44_549_160, macs=7_801_405_440, depth=101, weights="ResNet101",
           file="resnet101-63fe2227.pth", top1=0.77374, top5=0.93546),
    Member(name="resnet-152", builder="resnet152", parameters=60_192_808, macs=11_513_626_624, depth=152, weights="ResNet152",
           file="resnet152-394f9c45.pth", top1=0.78312, top5=0.94046),
)  # fmt: skip

PLAIN = Family(
    name="plain", origin="table", head="fc", year=2015, paper=PAPER, source="the paper, Table 2, mean of ten crops"
).rows(
    Member(name="plain-18", builder="plain18", parameters=11_515_688, macs=1_794_805_760, depth=18, top1=0.7206),
    Member(name="plain-34", builder="plain34", parameters=21_623_848, macs=3_644_493_824, depth=34, top1=0.7146),
)  # fmt: skip

RESNET_V2 = Family(
    name="resnet-v2", origin="timm", needs=("timm",), head="head.fc", year=2016, paper=PAPER_V2, normalization=HALF,
    source=SLIM_299
).rows(
    Member(name="resnet-v2-50", builder="resnetv2_50", parameters=25_549_352, macs=4_089_184_256, depth=50, top1=0.756,
           top5=0.928),
    Member(name="resnet-v2-101", builder="resnetv2_101", parameters=44_541_480, macs=7_801_405_440, depth=101, top1=0.77,
           top5=0.937),
    Member(name="resnet-v2-152", builder="resnetv2_152", parameters=60_185_128, macs=11_513_626_624, depth=152, top1=0.778,
           top5=0.941),
)  # fmt: skip

RESNEXTS = Family(name="resnext", head="fc", year=2016, paper=AGGREGATED).rows(
    Member(name="resnext-50-32x4d", builder="resnext50_32x4d", parameters=25_028_904, macs=4_230_479_872, depth=50,
           weights="ResNeXt50_32X4D", file="resnext50_32x4d-7cdf4587.pth", top1=0.77618, top5=0.93698),
    Member(name="resnext-101-32x8d", builder="resnext101_32x8d", parameters=88_791_336, macs=16_414_015_488, depth=101,
           weights="ResNeXt101_32X8D", file="resnext101_32x8d-8ba56ff5.pth", top1=0.79312, top5=0.94526),
    Member(name="resnext-101-64x4d", builder="resnext101_64x4d", parameters=83_455_272, macs=15_460_270_080, depth=101,
           weights="ResNeXt101_64X4D", file="resnext101_64x4d-173b62eb.pth", top1=0.83246, top5=0.96454, resize_px=232),
)  # fmt: skip

DENSENETS = Family(name="densenet", head="classifier", year=2016, paper=DENSE).rows(
    Member(name="densenet-121", builder="densenet121", parameters=7_978_856, macs=2_834_161_664, depth=121, weights="DenseNet121",
           file="densenet121-a639ec97.pth", top1=0.74434, top5=0.91972),
    Member(name="densenet-169", builder="densenet169", parameters=14_149_480, macs=3_359_843_328, depth=169,
           weights="DenseNet169", file="densenet169-b2777c0a.pth", top1=0.756, top5=0.92806),
    Member(name="densenet-201", builder="densenet201", parameters=20_013_928, macs=4_291_365_888, depth=201,
           weights="DenseNet201", file="densenet201-c1103571.pth", top1=0.76896, top5=0.9337),
)  # fmt: skip
