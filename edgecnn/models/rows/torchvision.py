"""What the networks of one torchvision family share, so that a row states only what is its own.

Weights are named as torchvision names them: ``FILE-DIGEST.pth`` at one address, with the first digits of the SHA-256 in the name.
Accuracies are those that torchvision 0.29 records with these very weights; a test holds every row against it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveFloat, PositiveInt

from edgecnn.models.rows.normalization import IMAGENET
from edgecnn.values.arch import ArchSpec, Auxiliary, PretrainedWeights, PublishedAccuracy
from edgecnn.values.base import Value
from edgecnn.values.dataset import Normalization

LICENCE = "BSD-3-Clause (torchvision); ImageNet's terms may apply"
FILES = "https://download.pytorch.org/models/"
PAGES = "https://docs.pytorch.org/vision/stable/models/generated/torchvision.models."
PLAIN_RATE = 5e-4
"""Peak rate of AdamW from random weights for large networks in which nothing is normalized by batches."""
Interpolation = Literal["bilinear", "bicubic"]


class Member(Value):
    """One network of a family, and its first published weights."""

    name: str
    builder: str
    parameters: PositiveInt
    macs: PositiveInt
    depth: PositiveInt
    weights: str
    """Class of the weights enum, without ``_Weights``."""
    file: str
    top1: float
    top5: float
    resize_px: PositiveInt = 256
    resolution_px: PositiveInt = 224
    auxiliary: Auxiliary | None = None
    scratch_rate: PositiveFloat | None = None


class Family(Value):
    """What the members have in common."""

    name: str
    head: str
    year: int
    paper: str
    interpolation: Interpolation = "bilinear"
    normalization: Normalization = IMAGENET
    least_px: PositiveInt = 32
    licence: str = LICENCE

    def row(self, member: Member) -> ArchSpec:
        """The row of one of them."""
        digest = member.file.removesuffix(".pth").rpartition("-")[2]
        return ArchSpec(
            **member.model_dump(include={"name", "builder", "parameters", "macs", "depth", "scratch_rate"}),
            **self.model_dump(include={"head", "year", "paper", "interpolation", "least_px"}),
            family=self.name,
            origin="torchvision",
            auxiliary=member.auxiliary,
            resolution_px=member.resolution_px,
            resize_px=member.resize_px,
            normalization=self.normalization,
            accuracy=PublishedAccuracy(top1=member.top1, top5=member.top5, source=f"torchvision, {member.weights}_Weights"),
            weights=PretrainedWeights(
                origin="torchvision",
                name=f"{member.weights}_Weights.IMAGENET1K_V1",
                file=member.file,
                sha256_prefix=digest,
                url=FILES + member.file,
                licence=self.licence,
                source=f"{PAGES}{member.builder}.html",
            ),
        )
