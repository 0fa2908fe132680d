"""The networks before batch norm (LeNet-5, three AlexNets, ZFNet, Network in Network), and VGG without and with it.

torchvision's AlexNet is the one-tower network of 2014. That of 2012 is our own table, with the groups of its two GPUs or without.
LeNet-5 was published for ten digits, so its count is for ten classes. VGG's paper has no batch norm.
"""

from __future__ import annotations

from edgecnn.models.rows.family import HALF, PLAIN_RATE, Family, Member

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
