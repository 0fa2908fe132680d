"""One small network a family: what ordinary tests try of the catalogue; all the others are slow."""

from __future__ import annotations

from typing import Any

import pytest

from edgecnn.models.catalogue import all_archs

SMALLEST = (
    "lenet-5", "alexnet", "zfnet", "nin", "vgg-11", "googlenet", "inception-v3", "plain-18", "resnet-18", "resnet-v2-50",
    "resnext-50-32x4d", "xception", "inception-resnet-v2", "densenet-121", "mobilenet-v1-0.25", "shufflenet-v1-x0.5",
    "nasnet-mobile", "mobilenet-v2", "shufflenet-v2-x0.5", "mobilenet-v3-small", "efficientnet-b0", "efficientnet-lite0",
    "efficientnet-v2-s", "mnasnet-small", "fbnet-v3-b", "efficientnet-v2-b0", "convnext-atto", "ghostnet-v2-1.0", "mobileone-s0",
    "repvit-m0.9", "mobilenet-v4-conv-small",
)  # fmt: skip


def each_with_the_others_slow(ordinary: tuple[str, ...] = SMALLEST) -> list[Any]:
    """Every name of the catalogue as a parameter, marked ``slow`` unless it is in ``ordinary``."""
    return [spec.name if spec.name in ordinary else pytest.param(spec.name, marks=pytest.mark.slow) for spec in all_archs()]


OF_TIMM = (
    "halonet_h1", "mobileone_s1", "coat_tiny", "convmixer_768_32", "convnext_zepto_rms", "cpubone_nano", "csatv2",
    "cs3darknet_focus_s", "cspnext_tiny", "davit_tiny", "densenet121", "dla46x_c", "dpn48b", "edgenext_xx_small",
    "efficientformer_l1", "efficientformerv2_s0", "mobilenetv2_035", "efficientvim_m1", "efficientvit_b0", "efficientvit_m0",
    "fasternet_t0", "fastvit_t8", "focalnet_tiny_srf", "gcvit_xxtiny", "ghostnet_050", "hardcorenas_b", "hgnetv2_b0",
    "hrnet_w18_small", "iformer_t", "inception_next_atto", "inception_resnet_v2", "inception_v3", "inception_v4", "lcnetv2_small",
    "levit_128s", "lowformer_b0", "mambaout_femto", "maxvit_pico_rw_256", "poolformerv2_s12", "mobilenetv3_small_050",
    "mobilenetv5_base", "mobilevit_xxs", "mvitv2_tiny", "nasnetalarge", "nextvit_small", "nf_regnet_b0", "pnasnet5large",
    "pvt_v2_b0", "rdnet_tiny", "regnetx_002", "repghostnet_050", "repvit_m1", "res2next50", "resnest14d", "resnet10t",
    "resnetv2_18", "rexnet_100", "selecsls42", "legacy_seresnet18", "shvit_s1", "skresnet18", "starnet_s050", "swiftformer_xs",
    "tiny_vit_5m_224", "tresnet_m", "twins_svt_small", "vgg11", "visformer_tiny", "vitamin_small_224", "ese_vovnet19b_slim_dw",
    "legacy_xception", "xception41p", "xcit_nano_12_p8_224",
)  # fmt: skip
"""The smallest classifier of every module of timm's that has convolutions beyond those that cut an image into patches."""
