"""VGG as torchvision builds and publishes it, without and with batch norm (which the paper does not have)."""

from __future__ import annotations

from edgecnn.models.rows.torchvision import PLAIN_RATE, Family, Member
from edgecnn.values.arch import ArchSpec

PAPER = "Very Deep Convolutional Networks for Large-Scale Image Recognition, arXiv:1409.1556"

_VGG = Family(
    name="vgg",
    head="classifier.6",
    year=2014,
    paper=PAPER,
)
VGGS: tuple[ArchSpec, ...] = tuple(
    _VGG.row(member)
    for member in (
        Member(
            name="vgg-11",
            builder="vgg11",
            parameters=132_863_336,
            macs=7_609_090_048,
            depth=11,
            weights="VGG11",
            file="vgg11-8a719046.pth",
            top1=0.6902,
            top5=0.88628,
            scratch_rate=PLAIN_RATE,
        ),
        Member(
            name="vgg-13",
            builder="vgg13",
            parameters=133_047_848,
            macs=11_308_466_176,
            depth=13,
            weights="VGG13",
            file="vgg13-19584684.pth",
            top1=0.69928,
            top5=0.89246,
            scratch_rate=PLAIN_RATE,
        ),
        Member(
            name="vgg-16",
            builder="vgg16",
            parameters=138_357_544,
            macs=15_470_264_320,
            depth=16,
            weights="VGG16",
            file="vgg16-397923af.pth",
            top1=0.71592,
            top5=0.90382,
            scratch_rate=PLAIN_RATE,
        ),
        Member(
            name="vgg-19",
            builder="vgg19",
            parameters=143_667_240,
            macs=19_632_062_464,
            depth=19,
            weights="VGG19",
            file="vgg19-dcbb9e9d.pth",
            top1=0.72376,
            top5=0.90876,
            scratch_rate=PLAIN_RATE,
        ),
        Member(
            name="vgg-11-bn",
            builder="vgg11_bn",
            parameters=132_868_840,
            macs=7_609_090_048,
            depth=11,
            weights="VGG11_BN",
            file="vgg11_bn-6002323d.pth",
            top1=0.7037,
            top5=0.8981,
        ),
        Member(
            name="vgg-13-bn",
            builder="vgg13_bn",
            parameters=133_053_736,
            macs=11_308_466_176,
            depth=13,
            weights="VGG13_BN",
            file="vgg13_bn-abd245e5.pth",
            top1=0.71586,
            top5=0.90374,
        ),
        Member(
            name="vgg-16-bn",
            builder="vgg16_bn",
            parameters=138_365_992,
            macs=15_470_264_320,
            depth=16,
            weights="VGG16_BN",
            file="vgg16_bn-6c64b313.pth",
            top1=0.7336,
            top5=0.91516,
        ),
        Member(
            name="vgg-19-bn",
            builder="vgg19_bn",
            parameters=143_678_248,
            macs=19_632_062_464,
            depth=19,
            weights="VGG19_BN",
            file="vgg19_bn-c79401a0.pth",
            top1=0.74218,
            top5=0.91842,
        ),
    )
)
