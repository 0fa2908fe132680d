"""The networks before batch norm: LeNet-5, AlexNet three times, ZFNet, Network in Network.

AlexNet as torchvision has it is the one-tower network of 2014; that of 2012 is our own table, grouped as its two GPUs were and
ungrouped. LeNet-5 was published for ten digits, and its count is of ten classes.
"""

from __future__ import annotations

from edgecnn.models.rows.normalization import HALF, IMAGENET
from edgecnn.models.rows.torchvision import PLAIN_RATE, Family, Member
from edgecnn.values.arch import ArchSpec, PublishedAccuracy

LECUN = "Gradient-Based Learning Applied to Document Recognition, Proceedings of the IEEE 86(11)"
KRIZHEVSKY = "ImageNet Classification with Deep Convolutional Neural Networks, NIPS 2012"
ONE_WEIRD_TRICK = "One weird trick for parallelizing convolutional neural networks, arXiv:1404.5997"
ZEILER = "Visualizing and Understanding Convolutional Networks, arXiv:1311.2901"
LIN = "Network In Network, arXiv:1312.4400"
NIN_IMAGENET = "https://gist.github.com/mavenlin/d802a5849de39225bcc6, the first author's network"

_TORCHVISION = Family(
    name="alexnet",
    head="classifier.6",
    year=2014,
    paper=ONE_WEIRD_TRICK,
    least_px=63,
)
_ALEXNET: tuple[ArchSpec, ...] = tuple(
    _TORCHVISION.row(member)
    for member in (
        Member(
            name="alexnet",
            builder="alexnet",
            parameters=61_100_840,
            macs=714_188_480,
            depth=8,
            weights="AlexNet",
            file="alexnet-owt-7be5be79.pth",
            top1=0.56522,
            top5=0.79066,
            scratch_rate=PLAIN_RATE,
        ),
    )
)

CLASSICS: tuple[ArchSpec, ...] = (
    ArchSpec(
        name="lenet-5",
        family="lenet",
        origin="table",
        builder="lenet5",
        parameters=60_850,
        macs=328_096,
        depth=7,
        classes=10,
        resolution_px=32,
        resize_px=32,
        interpolation="bilinear",
        normalization=HALF,
        head="output",
        year=1998,
        paper=LECUN,
    ),
    ArchSpec(
        name="alexnet-2012",
        family="alexnet",
        origin="table",
        builder="alexnet_two_towers",
        parameters=60_965_224,
        macs=724_406_816,
        depth=8,
        resolution_px=227,
        least_px=39,
        resize_px=256,
        interpolation="bilinear",
        normalization=IMAGENET,
        head="classifier.6",
        scratch_rate=PLAIN_RATE,
        year=2012,
        paper=KRIZHEVSKY,
        accuracy=PublishedAccuracy(top1=0.593, top5=0.818, source="the paper, Table 2, one network, mean of ten crops"),
    ),
    ArchSpec(
        name="alexnet-2012-ungrouped",
        family="alexnet",
        origin="table",
        builder="alexnet_one_tower",
        parameters=62_378_344,
        macs=1_135_256_096,
        depth=8,
        resolution_px=227,
        least_px=39,
        resize_px=256,
        interpolation="bilinear",
        normalization=IMAGENET,
        head="classifier.6",
        scratch_rate=PLAIN_RATE,
        year=2012,
        paper=KRIZHEVSKY,
    ),
    *_ALEXNET,
    ArchSpec(
        name="zfnet",
        family="zfnet",
        origin="table",
        builder="zfnet",
        parameters=62_357_608,
        macs=1_168_032_896,
        depth=8,
        resolution_px=224,
        least_px=47,
        resize_px=256,
        interpolation="bilinear",
        normalization=IMAGENET,
        head="classifier.6",
        scratch_rate=PLAIN_RATE,
        year=2013,
        paper=ZEILER,
        accuracy=PublishedAccuracy(top1=0.616, top5=0.835, source="the paper, Table 2, one network as in its Figure 3"),
    ),
    ArchSpec(
        name="nin",
        family="nin",
        origin="table",
        builder="nin",
        parameters=7_595_176,
        macs=1_100_188_800,
        depth=12,
        resolution_px=224,
        least_px=39,
        resize_px=256,
        interpolation="bilinear",
        normalization=IMAGENET,
        head="head",
        scratch_rate=PLAIN_RATE,
        year=2013,
        paper=LIN,
        accuracy=PublishedAccuracy(top1=0.5936, source=NIN_IMAGENET),
    ),
)
