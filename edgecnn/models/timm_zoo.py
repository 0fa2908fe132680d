"""A row for every classifier of the installed timm, from timm's own records of its weights: ``timm:NAME`` or ``timm:NAME.TAG``.

A name without a tag means timm's default weights, and the row names their tag. Pixels are as in timm's validation of these
weights: ``test_input_size`` and ``test_crop_pct`` if recorded, and images squashed to a square if timm does so.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import cache
from typing import Final

import timm
import torch
from timm.models import PretrainedCfg, get_pretrained_cfg

from edgecnn.errors.weights import NOT_A_CLASSIFIER, SHAPE_NOT_TAKEN, unknown_arch
from edgecnn.errors.wording import near_names, shell_word
from edgecnn.models.catalogue import TIMM
from edgecnn.models.rows import hub_weights
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.arch import ArchSpec, PretrainedWeights
from edgecnn.values.preprocessing import Normalization, ResizeMode

IMAGENET_CLASSES = 1000
LEAST_PX = 32
_RESIZES: Final[Mapping[str, ResizeMode]] = {"center": "crop", "squash": "stretch", "border": "letterbox"}
"""timm's ``crop_mode`` in our words."""
SIZES_PX = (33, 48, 64, 75, 96, 128, 160, 192)
"""Sizes to try for a network of flexible size; a few networks need more than 64."""


@cache
def timm_arch(name: str) -> ArchSpec:
    """Return the row of ``timm:NAME`` or ``timm:NAME.TAG``, with the smallest usual size that its network can process.

    Raises as ``recorded_arch``.
    """
    row = recorded_arch(name)
    if row.only_native_px:
        return row
    sizes = [row.least_px, *(size for size in SIZES_PX if row.least_px < size < row.resolution_px.short_px)]
    taken = _first_taken(row.builder, [ImageSize.square(size) for size in sizes])
    return row.model_copy(update={"least_px": sizes[0] if taken is None else taken.short_px})


def require_shape(row: ArchSpec, size: ImageSize) -> None:
    """Raise SHAPE_NOT_TAKEN if the network cannot process images of that shape."""
    if size != row.resolution_px and _first_taken(row.builder, [size]) is None:
        raise SHAPE_NOT_TAKEN(arch=row.name, asked_px=str(size))


def _first_taken(builder: str, sizes: Sequence[ImageSize]) -> ImageSize | None:
    """Return the first size that works in training and evaluation, by shapes alone on the meta device; None if none does."""
    with torch.device("meta"), torch.no_grad(), torch.random.fork_rng(devices=[]):
        network = timm.create_model(builder, pretrained=False)
        for size in sizes:
            with suppress(RuntimeError, ValueError, AssertionError, NotImplementedError):
                for mode in (True, False):
                    network.train(mode)(torch.empty(2, 3, *size))
                return size
    return None


def recorded_arch(name: str) -> ArchSpec:
    """Return the row from timm's records, without building the network.

    Raises:
        UnknownArch: timm has no such network, or not with these weights; with the nearest names.
        NOT_A_CLASSIFIER: the network has no classes, or does not take images of three colours.
    """
    bare_name = name.removeprefix(TIMM)
    family, _, tag = bare_name.partition(".")
    recorded = get_pretrained_cfg(family) if timm.is_model(family) else None
    if recorded is not None and tag:
        recorded = get_pretrained_cfg(bare_name, allow_unregistered=False) if f"{family}.{tag}" in _tagged(family) else None
    if recorded is None:
        nearest, pattern = _nearest_names(bare_name), any(letter in bare_name for letter in "*?[")
        alike = name if pattern else f"{os.path.commonprefix(nearest) or TIMM}*"
        raise unknown_arch(name=name, nearest=() if pattern else nearest, shown_by=f"edgecnn list archs {shell_word(alike)}")
    like = f"{TIMM}{family.partition('_')[0]}*"
    if not recorded.num_classes or not recorded.classifier:
        raise NOT_A_CLASSIFIER(arch=name, because="it ends in features, without a layer for classes", like=like)
    if recorded.input_size[0] != 3:
        size = "×".join(map(str, recorded.input_size))
        raise NOT_A_CLASSIFIER(arch=name, because=f"its input is {size}, not an image of three colours", like=like)
    return row_of(recorded.architecture or family, recorded)


def timm_names(pattern: str) -> tuple[str, ...]:
    """Return timm's classifiers that match a shell pattern, with or without the tag of weights: ``timm:mobilenetv4*``."""
    bare_pattern = pattern.lower().removeprefix(TIMM)
    return tuple(
        f"{TIMM}{name}"
        for name in _classifier_names()
        if fnmatchcase(name, bare_pattern) or fnmatchcase(name.partition(".")[0], bare_pattern)
    )


def is_of_timm(name: str) -> bool:
    """Whether timm has a network of that name, ignoring its tag."""
    return bool(timm.is_model(name.partition(".")[0]))


def row_of(family: str, recorded: PretrainedCfg) -> ArchSpec:
    """Return the row of a network, with weights that timm records like this."""
    sized = recorded.test_input_size if recorded.test_input_size and not recorded.fixed_input_size else recorded.input_size
    crop = recorded.test_crop_pct or recorded.crop_pct
    head, *beside = (recorded.classifier,) if isinstance(recorded.classifier, str) else recorded.classifier
    tagged = f"{family}.{recorded.tag}"
    size, named = ImageSize(*sized[1:]), tagged if tagged in _tagged(family) else family
    fixed = recorded.fixed_input_size
    return ArchSpec(
        name=f"{TIMM}{named}",
        family=FAMILY,
        origin="timm",
        needs=("timm",),
        builder=named,
        parameters=None,
        classes=recorded.num_classes,
        resolution_px=size,
        least_px=size.short_px if fixed else max(LEAST_PX, min((recorded.min_input_size or (0, LEAST_PX))[1:])),
        only_native_px=fixed,
        resize_px=ImageSize(*(math.floor(side / crop) for side in size)),
        resize=_RESIZES[recorded.crop_mode],
        interpolation="bilinear" if recorded.interpolation == "bilinear" else "bicubic",
        normalization=Normalization(mean=recorded.mean, std=recorded.std),
        head=head,
        beside=tuple(beside),
        year=None,
        paper=None,
        weights=_published_weights(recorded),
    )


FAMILY = "timm"
"""For every row made here: how to scale or change such a network is unknown."""


def _published_weights(recorded: PretrainedCfg) -> PretrainedWeights | None:
    """Return None if timm records no weights on the Hub, or reads them with its own code."""
    if not recorded.hf_hub_id or str(recorded.custom_load) == "hf":
        return None
    licence = f"{recorded.license or 'not recorded by timm'}; ImageNet's terms may apply"
    weights = hub_weights(recorded.hf_hub_id, licence, *filter(None, (recorded.hf_hub_filename,)))
    if recorded.num_classes == IMAGENET_CLASSES:
        return weights
    return weights.model_copy(update={"trained_on": f"its authors' {recorded.num_classes:,} outputs"})


@cache
def _tags() -> Mapping[str, tuple[str, ...]]:
    """Return each network's names with a tag."""
    names_of: dict[str, list[str]] = {}
    for name in timm.list_pretrained():
        names_of.setdefault(name.partition(".")[0], []).append(name)
    return {family: tuple(names) for family, names in names_of.items()}


def _tagged(family: str) -> tuple[str, ...]:
    return _tags().get(family, ())


def _classifier_names() -> Iterator[str]:
    for family in timm.list_models():
        for name in _tagged(family) or (family,):
            recorded = get_pretrained_cfg(name)
            if recorded is not None and recorded.num_classes and recorded.classifier:
                yield name


def _nearest_names(bare_name: str) -> tuple[str, ...]:
    """Return the nearest names, with tags first, since only the tag may be wrong."""
    family = bare_name.partition(".")[0]
    known = _tagged(family) if timm.is_model(family) else timm.list_models()
    return tuple(f"{TIMM}{name}" for name in near_names(bare_name.lower().replace("-", "_"), known, most=3, cutoff=0.5))
