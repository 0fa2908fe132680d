"""The usual preprocessings with which classifiers were trained.

Sources: keras.applications.imagenet_utils.preprocess_input (its modes ``torch``, ``tf`` and ``caffe``) and the transforms of
torchvision's published weights. Networks that normalize their input themselves expect 0…1 or 0…255. Networks trained on OpenCV's
images expect any of these in BGR order, with each channel's mean and scale.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from edgecnn.errors.custom_model import unknown_preprocessing
from edgecnn.errors.wording import nearest
from edgecnn.models.rows import HALF, IMAGENET
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.custom_model import Channels
from edgecnn.values.preprocessing import Normalization, PreprocessingChoice

_COLOURS = ("mean", "std", "channels")


class Usual(NamedTuple):
    """One of them, without a resolution."""

    normalization: Normalization
    channels: Channels
    about: str

    @property
    def is_of_grey(self) -> bool:
        """Whether it treats all channels alike: one mean, one scale, and no order."""
        mean, std = self.normalization.mean, self.normalization.std
        return self.channels == "rgb" and len(set(mean)) == len(set(std)) == 1


_BYTE = 1 / 255
_UNIT = Normalization(mean=(0, 0, 0), std=(1, 1, 1))
USUAL = {
    "imagenet": Usual(IMAGENET, "rgb", "torchvision, timm, Keras mode torch"),
    "half": Usual(HALF, "rgb", "-1…1: Inception, MobileNet, Keras mode tf"),
    "unit": Usual(_UNIT, "rgb", "0…1"),
    "bytes": Usual(Normalization(mean=(0, 0, 0), std=(_BYTE, _BYTE, _BYTE)), "rgb", "0…255, normalized inside the model"),
    "caffe": Usual(
        Normalization(mean=(123.68 / 255, 116.779 / 255, 103.939 / 255), std=(_BYTE, _BYTE, _BYTE)),
        "bgr",
        "0…255 less the mean, blue first: Keras mode caffe (VGG, ResNet)",
    ),
    "bytes-bgr": Usual(Normalization(mean=(0, 0, 0), std=(_BYTE, _BYTE, _BYTE)), "bgr", "0…255, blue first"),
    "imagenet-bgr": Usual(IMAGENET, "bgr", "as imagenet, blue first"),
    "half-bgr": Usual(HALF, "bgr", "-1…1, blue first"),
    "unit-bgr": Usual(_UNIT, "bgr", "0…1, blue first"),
}
"""By the value of ``[preprocessing] like``, most common first."""
BYTES = ("bytes", "bytes-bgr")
"""The two that a model with uint8 input can expect."""
MARGIN = 256 / 224
"""Ratio of the short side to the crop in the classic ImageNet evaluation (resize 256, crop 224)."""


def usual_named(name: str) -> Usual:
    """Return the row of that name. Raises UNKNOWN_PREPROCESSING: with the nearest name."""
    if name not in USUAL:
        raise unknown_preprocessing(name=name, known=tuple(USUAL), nearest=nearest(name.lower(), USUAL, cutoff=0.5))
    return USUAL[name]


def stated_fields(choice: PreprocessingChoice) -> dict[str, Any]:
    """Return the fields of a choice that concern colours and the shape."""
    return {name: value for name, value in choice if value is not None and name != "grey_window"}


def agree(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether no field differs: ``like`` counts as its mean, scale and order, and ``resize_px`` as a crop."""
    ours, theirs = _numbers(one), _numbers(other)
    return all(_is_same(ours[name], theirs[name]) for name in ours.keys() & theirs.keys())


def missing_fields(own: Mapping[str, Any], stated: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``stated`` fields that ``own``, which agrees, does not set; as numbers if ``own`` has numbers."""
    fields = _numbers(stated) if "mean" in own or "std" in own else stated
    known = {*own, *(_COLOURS if "like" in own else ())}
    return {name: value for name, value in fields.items() if name not in known}


def _numbers(fields: Mapping[str, Any]) -> dict[str, Any]:
    numbers = {name: value for name, value in fields.items() if name != "like"}
    if (usual := USUAL.get(str(fields.get("like")))) is not None:
        numbers = {"mean": usual.normalization.mean, "std": usual.normalization.std, "channels": usual.channels, **numbers}
    return {"resize": "crop", **numbers} if "resize_px" in numbers else numbers


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple) and not isinstance(one, ImageSize):
        # Rounded as people usually write them.
        return all(math.isclose(number, its, rel_tol=1e-3, abs_tol=1e-6) for number, its in zip(one, other, strict=True))
    return bool(one == other)
