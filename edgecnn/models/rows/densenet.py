"""DenseNets as torchvision builds and publishes them."""

from __future__ import annotations

from edgecnn.models.rows.torchvision import Family, Member
from edgecnn.values.arch import ArchSpec

_DENSENET = Family(
    name="densenet",
    head="classifier",
    year=2016,
    paper="Densely Connected Convolutional Networks, arXiv:1608.06993",
)
DENSENETS: tuple[ArchSpec, ...] = tuple(
    _DENSENET.row(member)
    for member in (
        Member(
            name="densenet-121",
            builder="densenet121",
            parameters=7_978_856,
            macs=2_834_161_664,
            depth=121,
            weights="DenseNet121",
            file="densenet121-a639ec97.pth",
            top1=0.74434,
            top5=0.91972,
        ),
        Member(
            name="densenet-169",
            builder="densenet169",
            parameters=14_149_480,
            macs=3_359_843_328,
            depth=169,
            weights="DenseNet169",
            file="densenet169-b2777c0a.pth",
            top1=0.756,
            top5=0.92806,
        ),
        Member(
            name="densenet-201",
            builder="densenet201",
            parameters=20_013_928,
            macs=4_291_365_888,
            depth=201,
            weights="DenseNet201",
            file="densenet201-c1103571.pth",
            top1=0.76896,
            top5=0.9337,
        ),
    )
)
