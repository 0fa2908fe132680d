"""ResNeXts as torchvision builds and publishes them; the last is trained by its newer recipe."""

from __future__ import annotations

from edgecnn.models.rows.torchvision import Family, Member
from edgecnn.values.arch import ArchSpec

_RESNEXT = Family(
    name="resnext",
    head="fc",
    year=2016,
    paper="Aggregated Residual Transformations for Deep Neural Networks, arXiv:1611.05431",
)
RESNEXTS: tuple[ArchSpec, ...] = tuple(
    _RESNEXT.row(member)
    for member in (
        Member(
            name="resnext-50-32x4d",
            builder="resnext50_32x4d",
            parameters=25_028_904,
            macs=4_230_479_872,
            depth=50,
            weights="ResNeXt50_32X4D",
            file="resnext50_32x4d-7cdf4587.pth",
            top1=0.77618,
            top5=0.93698,
        ),
        Member(
            name="resnext-101-32x8d",
            builder="resnext101_32x8d",
            parameters=88_791_336,
            macs=16_414_015_488,
            depth=101,
            weights="ResNeXt101_32X8D",
            file="resnext101_32x8d-8ba56ff5.pth",
            top1=0.79312,
            top5=0.94526,
        ),
        Member(
            name="resnext-101-64x4d",
            builder="resnext101_64x4d",
            parameters=83_455_272,
            macs=15_460_270_080,
            depth=101,
            weights="ResNeXt101_64X4D",
            file="resnext101_64x4d-173b62eb.pth",
            top1=0.83246,
            top5=0.96454,
            resize_px=232,
            resolution_px=224,
        ),
    )
)
