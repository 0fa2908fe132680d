"""Networks of 2018 and later that are small enough for a board, from timm.

Accuracies are timm's own, for these weights at the row's size and crop. RepViT and MobileOne train with parallel branches that
are merged for inference; their counts are those after merging, as in their papers.
"""

from __future__ import annotations

from edgecnn.models.rows.efficientnet import PAPER_V2
from edgecnn.models.rows.family import Family, Member

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
    paper=PAPER_V2, interpolation="bicubic",
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
