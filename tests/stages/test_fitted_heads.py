"""Heads that scikit-learn fits on frozen features go the way of any network: one ONNX file, quantized, in both CPU runtimes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecnn.models.catalogue import arch_named
from tests.runtimes.made import Quiet
from tests.slow_parameters import slowly
from tests.stages.whole_way import IMAGES, answers, exported, hold_against, prepared
from tests.training.made import LITE, fetched, make_given, stage

SIZE_PX = 64


@pytest.mark.parametrize("head", slowly("svm", "softmax", "knn"))
def test_backbone_and_head_are_quantized_and_run_by_both_runtimes(head: str, tmp_path: Path) -> None:
    spec = arch_named(LITE)
    given, start, weights = (
        make_given(tmp_path, validation=IMAGES, size_px=SIZE_PX),
        fetched(tmp_path / "fetched"),
        tmp_path / "weights",
    )
    weights.mkdir()
    stage(LITE, size_px=SIZE_PX, mode="finetune", transfer="head", head=head).make(given.roles(start), weights, Quiet())
    pixels = prepared(given, SIZE_PX)
    trunk = exported(spec, SIZE_PX, weights, pixels, tmp_path)
    hold_against(np.load(trunk / "golden_logits.npy"), answers(spec.normalization, trunk, pixels, tmp_path))
