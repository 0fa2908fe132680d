from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from scipy.special import softmax

from edgecnn.graph.custom.onnx_entry import read_entry
from edgecnn.graph.ensemble import Member, average_members, probabilities
from edgecnn.graph.onnx_file import save_model
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runner.pixels import to_feed
from edgecnn.values.preprocessing import Normalization
from tests.graph.planted import SIDE, planted, spotted

PLAIN = Normalization(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
OTHER = Normalization(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.125))
PICTURES = np.stack([spotted(0), spotted(1, level=90), spotted(2, (12, 3))])


def fed(norm: Normalization) -> np.ndarray:
    return to_feed(PICTURES, "float32", "NCHW", norm.mean, norm.std)


def saved(model: onnx.ModelProto, path: Path) -> Path:
    save_model(model, path)
    return path


def test_the_answer_is_the_mean_of_probabilities_of_members_that_are_fed_differently(tmp_path: Path) -> None:
    members = [Member(planted(), PLAIN), Member(planted(gain=9), OTHER), Member(planted(gain=3), PLAIN)]
    alone = [
        probabilities(saved(member.model, tmp_path / f"{number}.onnx"), [fed(member.normalization)])
        for number, member in enumerate(members)
    ]
    whole = saved(average_members(members, ImageSize.square(SIDE), 3), tmp_path / "whole.onnx")
    onnx.checker.check_model(whole, full_check=True)
    assert probabilities(whole, [fed(PLAIN)]) == pytest.approx(np.mean(alone, axis=0), abs=1e-6)


def test_the_surest_answers_stay_numbers(tmp_path: Path) -> None:
    whole = saved(average_members([Member(planted(gain=1000), PLAIN)] * 2, ImageSize.square(SIDE), 3), tmp_path / "whole.onnx")
    shares = probabilities(whole, [fed(PLAIN)])
    assert np.isfinite(shares).all() and shares == pytest.approx(softmax(1e9 * np.eye(3), axis=1), abs=1e-5)


def test_a_build_takes_it_as_a_classifier(tmp_path: Path) -> None:
    model = average_members([Member(planted(), PLAIN), Member(planted(), OTHER)], ImageSize.square(SIDE), 3)
    entry = read_entry(model, tmp_path / "whole.onnx")
    assert (entry.resolution_px, entry.classes, entry.batch, entry.ends_in_softmax) == (ImageSize.square(SIDE), 3, None, False)
