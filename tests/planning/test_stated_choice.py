"""A user's settings win over what a model file states, and the file completes those that agree with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest

from edgecnn.graph.custom.onnx_entry import read_entry
from edgecnn.planning.stated_preprocessing import Stated, merge_stated, stated_for
from edgecnn.values.preprocessing import PreprocessingChoice
from tests.graph.custom_files import SIDE, classifier
from tests.planning.test_stated_preprocessing import HALF, SQUARE, statement, written

CROPPED = {"like": "imagenet", "resize": "crop", "resize_px": 256}


def test_the_users_settings_win_and_the_difference_is_said(tmp_path: Path) -> None:
    side = {"height": SIDE, "width": SIDE}
    path = written(tmp_path, "preprocessor_config.json", {**HALF, "size": side, "resample": 3})
    entry, stated = read_entry(onnx.load(path), path), stated_for(path)
    taken, notes = merge_stated(PreprocessingChoice(), stated, entry)
    assert (taken.like, taken.resize, taken.interpolation, notes) == ("half", "stretch", "bicubic", ())
    own = PreprocessingChoice(like="imagenet", resize="crop", interpolation="bilinear")
    taken, notes = merge_stated(own, stated, entry)
    assert taken == own and notes == (
        "preprocessor_config.json states like half; your setting is used: like imagenet",
        "preprocessor_config.json states resize stretch; your setting is used: resize crop",
    )
    same = PreprocessingChoice(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    assert merge_stated(same, stated, entry)[1] == ()
    other = statement(written(tmp_path, "preprocessor_config.json", {**HALF, "size": SQUARE}))
    taken, notes = merge_stated(PreprocessingChoice(), other, entry)
    assert (taken.like, taken.resize) == ("half", None)
    assert notes == ("preprocessor_config.json states an input of 224, but the model takes 32",)


@pytest.mark.parametrize(
    ("own", "stated", "wanted"),
    [
        ({"channels": "rgb"}, CROPPED, {"channels": "rgb", **CROPPED}),
        ({"resize": "crop"}, CROPPED, CROPPED),
        ({"resize_px": 256}, CROPPED, CROPPED),
        ({"like": "imagenet"}, CROPPED, CROPPED),
        ({"mean": (0.5,) * 3}, {"like": "half-bgr"}, {"mean": (0.5,) * 3, "std": (0.5,) * 3, "channels": "bgr"}),
        (
            {"channels": "bgr"},
            {"mean": (0.4, 0.5, 0.6), "std": (1, 1, 1)},
            {"mean": (0.4, 0.5, 0.6), "std": (1, 1, 1), "channels": "bgr"},
        ),
        (
            {"mean": (0.4815, 0.4578, 0.4082)},
            {"mean": (0.48145466, 0.4578275, 0.40821073), "std": (1, 1, 1)},
            {"mean": (0.4815, 0.4578, 0.4082), "std": (1, 1, 1)},
        ),
    ],
)
def test_a_partial_setting_that_agrees_with_the_file_is_completed_by_it(
    own: dict[str, Any], stated: dict[str, Any], wanted: dict[str, Any], tmp_path: Path
) -> None:
    entry = read_entry(classifier(), tmp_path / "model.onnx")
    said = Stated(PreprocessingChoice.model_validate(stated), "its metadata")
    assert merge_stated(PreprocessingChoice.model_validate(own), said, entry) == (PreprocessingChoice.model_validate(wanted), ())


@pytest.mark.parametrize(
    ("own", "stated", "note"),
    [
        ({"channels": "bgr"}, {"like": "imagenet"}, "states like imagenet; your setting is used: channels bgr"),
        ({"resize_px": 40}, {"resize": "stretch"}, "states resize stretch; your setting is used: resize_px 40"),
        ({"resize_px": 40}, CROPPED, "states resize crop, resize_px 256; your setting is used: resize_px 40"),
    ],
)
def test_a_partial_setting_that_contradicts_the_file_is_taken_and_said(
    own: dict[str, Any], stated: dict[str, Any], note: str, tmp_path: Path
) -> None:
    entry = read_entry(classifier(), tmp_path / "model.onnx")
    said = Stated(PreprocessingChoice.model_validate(stated), "its metadata")
    choice = PreprocessingChoice.model_validate(own)
    taken, notes = merge_stated(choice, said, entry)
    assert all(getattr(taken, name) == getattr(choice, name) for name in own)
    assert notes == (f"its metadata {note}",)
