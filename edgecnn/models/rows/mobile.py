"""MobileNet V1 (with its width multipliers) and ShuffleNet V1 (with three groups) from our own tables; later ones from
torchvision.
"""

from __future__ import annotations

from edgecnn.models.rows.family import HALF, Family, Member

MOBILENET = "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications, arXiv:1704.04861"
INVERTED_RESIDUALS = "MobileNetV2: Inverted Residuals and Linear Bottlenecks, arXiv:1801.04381"
SEARCHING = "Searching for MobileNetV3, arXiv:1905.02244"
SHUFFLENET = "ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices, arXiv:1707.01083"
GUIDELINES = "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design, arXiv:1807.11164"
SHUFFLENETS = "https://github.com/megvii-model/ShuffleNet-Series, its table of ShuffleNetV1"

MOBILENET_V1 = Family(
    name="mobilenet-v1", origin="table", head="classifier.1", year=2017, paper=MOBILENET, normalization=HALF,
    source="the paper, Table 6"
).rows(
    Member(name="mobilenet-v1", builder="mobilenet_v1_100", parameters=4_231_976, macs=568_740_352, depth=28, top1=0.706),
    Member(name="mobilenet-v1-0.75", builder="mobilenet_v1_075", parameters=2_585_560, macs=325_400_448, depth=28, top1=0.684),
    Member(name="mobilenet-v1-0.5", builder="mobilenet_v1_050", parameters=1_331_592, macs=149_497_088, depth=28, top1=0.637),
    Member(name="mobilenet-v1-0.25", builder="mobilenet_v1_025", parameters=470_072, macs=41_030_272, depth=28, top1=0.506),
)  # fmt: skip

MOBILENET_V2 = Family(name="mobilenet-v2", head="classifier.1", year=2018, paper=INVERTED_RESIDUALS).rows(
    Member(name="mobilenet-v2", builder="mobilenet_v2", parameters=3_504_872, macs=300_774_272, depth=53, weights="MobileNet_V2",
           file="mobilenet_v2-b0353104.pth", top1=0.71878, top5=0.90286),
)  # fmt: skip

MOBILENET_V3 = Family(name="mobilenet-v3", head="classifier.3", year=2019, paper=SEARCHING).rows(
    Member(name="mobilenet-v3-small", builder="mobilenet_v3_small", parameters=2_542_856, macs=56_510_400, depth=54,
           weights="MobileNet_V3_Small", file="mobilenet_v3_small-047dcff4.pth", top1=0.67668, top5=0.87402),
    Member(name="mobilenet-v3-large", builder="mobilenet_v3_large", parameters=5_483_032, macs=216_589_760, depth=64,
           weights="MobileNet_V3_Large", file="mobilenet_v3_large-8738ca79.pth", top1=0.74042, top5=0.9134),
)  # fmt: skip

SHUFFLENET_V1 = Family(name="shufflenet-v1", origin="table", head="fc", year=2017, paper=SHUFFLENET, source=SHUFFLENETS).rows(
    Member(name="shufflenet-v1-x0.5", builder="shufflenet_v1_x0_5", parameters=718_324, macs=37_589_856, depth=50, top1=0.573,
           top5=0.8),
    Member(name="shufflenet-v1-x1.0", builder="shufflenet_v1_x1_0", parameters=1_865_728, macs=137_460_672, depth=50, top1=0.678,
           top5=0.877),
    Member(name="shufflenet-v1-x1.5", builder="shufflenet_v1_x1_5", parameters=3_442_168, macs=292_443_552, depth=50, top1=0.716,
           top5=0.902),
    Member(name="shufflenet-v1-x2.0", builder="shufflenet_v1_x2_0", parameters=5_450_776, macs=524_045_184, depth=50, top1=0.741,
           top5=0.914),
)  # fmt: skip

SHUFFLENET_V2 = Family(name="shufflenet-v2", head="fc", year=2018, paper=GUIDELINES).rows(
    Member(name="shufflenet-v2-x0.5", builder="shufflenet_v2_x0_5", parameters=1_366_792, macs=40_476_448, depth=51,
           weights="ShuffleNet_V2_X0_5", file="shufflenetv2_x0.5-f707e7126e.pth", top1=0.60552, top5=0.81746),
    Member(name="shufflenet-v2-x1.0", builder="shufflenet_v2_x1_0", parameters=2_278_604, macs=144_907_992, depth=51,
           weights="ShuffleNet_V2_X1_0", file="shufflenetv2_x1-5666bf0f80.pth", top1=0.69362, top5=0.88316),
    Member(name="shufflenet-v2-x1.5", builder="shufflenet_v2_x1_5", parameters=3_503_624, macs=295_759_392, depth=51,
           weights="ShuffleNet_V2_X1_5", file="shufflenetv2_x1_5-3c479a10.pth", top1=0.72996, top5=0.91086, resize_px=232),
    Member(name="shufflenet-v2-x2.0", builder="shufflenet_v2_x2_0", parameters=7_393_996, macs=583_253_464, depth=51,
           weights="ShuffleNet_V2_X2_0", file="shufflenetv2_x2_0-8be3c8ee.pth", top1=0.7623, top5=0.93006, resize_px=232),
)  # fmt: skip
