"""Facts that the networks of one family share, so that a row states only its own facts.

torchvision names a file of weights ``FILE-DIGEST.pth``, with the first digits of its SHA-256. Accuracies of its networks are
those that torchvision 0.29 records with these weights; a test compares every row with them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from edgecnn.values.arch import ArchSpec, Auxiliary, PretrainedWeights, PublishedAccuracy
from edgecnn.values.base import Value
from edgecnn.values.preprocessing import Normalization

LICENCE = "BSD-3-Clause (torchvision); ImageNet's terms may apply"
FILES = "https://download.pytorch.org/models/"
PAGES = "https://docs.pytorch.org/vision/stable/models/generated/torchvision.models."
SLIM = "the checkpoint table at https://github.com/tensorflow/models/tree/master/research/slim"
SLIM_299 = f"{SLIM}, at 299 px"
"""TF-slim evaluates ResNet V2 at 299 pixels."""

IMAGENET = Normalization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
"""ImageNet's channel means and standard deviations, as in every torchvision recipe."""
HALF = Normalization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
"""-1…1, as for Google's Inception, Xception, MobileNet V1 and NASNet (TF-slim's inception_preprocessing.py)."""
TENSORFLOW_LITE = Normalization(mean=(127 / 255, 127 / 255, 127 / 255), std=(128 / 255, 128 / 255, 128 / 255))
"""``(x - 127) / 128`` on 0…255, written in 0…1 units: efficientnet_lite_builder.py, MEAN_RGB and STDDEV_RGB."""
PLAIN_RATE = 5e-4
"""Peak rate of AdamW from random weights for large networks without batch norm."""


class Member(Value):
    """One network of a family, and its first published weights."""

    name: str
    builder: str
    parameters: PositiveInt
    macs: PositiveInt
    depth: PositiveInt
    weights: str | None = None
    """torchvision: the class of the weights enum, without ``_Weights``. table: the package that contains the weights."""
    file: str = ""
    """File of the weights; its name ends in the first digits of its SHA-256."""
    top1: float | None = None
    top5: float | None = None
    resize_px: PositiveInt = 256
    resolution_px: PositiveInt = 224
    classes: PositiveInt = 1000
    auxiliary: Auxiliary | None = None
    merged: NonNegativeInt = 0
    scratch_rate: PositiveFloat | None = None


class Family(Value):
    """Facts that all members share."""

    name: str
    origin: Literal["torchvision", "timm", "table"] = "torchvision"
    needs: tuple[str, ...] = ()
    head: str
    beside: tuple[str, ...] = ()
    year: int
    paper: str
    source: str = ""
    """Who published the accuracies. For torchvision, the weights that they were recorded with."""
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    normalization: Normalization = IMAGENET
    least_px: PositiveInt = 32
    scratch_rate: PositiveFloat | None = None
    licence: str = LICENCE

    def rows(self, *members: Member) -> tuple[ArchSpec, ...]:
        """Return a row for each member."""
        return tuple(self._row(member) for member in members)

    def _row(self, member: Member) -> ArchSpec:
        own = {"name", "builder", "parameters", "merged", "macs", "depth", "resize_px", "resolution_px", "classes"}
        shared = {"origin", "needs", "head", "beside", "year", "paper", "interpolation", "least_px"}
        source = self.source or f"torchvision, {member.weights}_Weights"
        return ArchSpec(
            **member.model_dump(include=own),
            **self.model_dump(include=shared),
            family=self.name,
            scratch_rate=member.scratch_rate or self.scratch_rate,
            auxiliary=member.auxiliary,
            normalization=self.normalization,
            accuracy=None if member.top1 is None else PublishedAccuracy(top1=member.top1, top5=member.top5, source=source),
            weights=self._weights(member),
        )

    def _weights(self, member: Member) -> PretrainedWeights | None:
        name = member.weights
        if self.origin == "timm" and "." in member.builder:
            return hub_weights(f"timm/{member.builder}", self.licence)
        if name is None:
            return None
        published = self.origin == "torchvision"
        return PretrainedWeights(
            origin="torchvision" if published else "package",
            name=f"{name}_Weights.IMAGENET1K_V1" if published else name,
            file=member.file,
            sha256_prefix=member.file.removesuffix(".pth").rpartition("-")[2],
            url=FILES + member.file if published else None,
            licence=self.licence,
            source=f"{PAGES}{member.builder}.html" if published else self.source,
        )


HUB = "https://huggingface.co/"


def hub_weights(repository: str, licence: str, file: str = "model.safetensors") -> PretrainedWeights:
    """Return weights of the Hub, under the file name that all repositories of timm share."""
    return PretrainedWeights(
        origin="timm",
        name=repository,
        file=file,
        sha256_prefix="",
        url=f"{HUB}{repository}/resolve/main/{file}",
        licence=licence,
        source=f"{HUB}{repository}",
    )
