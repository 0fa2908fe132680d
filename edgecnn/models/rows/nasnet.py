"""NASNet-A, mobile and large, of timm's cells (``models/families/from_timm.py``)."""

from __future__ import annotations

from edgecnn.models.rows.normalization import HALF
from edgecnn.values.arch import ArchSpec, PublishedAccuracy

PAPER = "Learning Transferable Architectures for Scalable Image Recognition, arXiv:1707.07012"

NASNETS: tuple[ArchSpec, ...] = (
    ArchSpec(
        name="nasnet-mobile",
        family="nasnet",
        origin="table",
        needs=("timm",),
        builder="nasnet_mobile",
        parameters=5_289_978,
        macs=563_638_816,
        depth=98,
        resolution_px=224,
        resize_px=256,
        interpolation="bilinear",
        normalization=HALF,
        head="fc",
        year=2017,
        paper=PAPER,
        accuracy=PublishedAccuracy(top1=0.74, top5=0.916, source="the paper, Table 3"),
    ),
    ArchSpec(
        name="nasnet-large",
        family="nasnet",
        origin="table",
        needs=("timm",),
        builder="nasnet_large",
        parameters=88_753_150,
        macs=23_783_414_658,
        depth=128,
        resolution_px=331,
        resize_px=363,
        interpolation="bicubic",
        normalization=HALF,
        head="fc",
        year=2017,
        paper=PAPER,
        accuracy=PublishedAccuracy(top1=0.827, top5=0.962, source="the paper, Table 2"),
    ),
)
