"""The networks of a search: a family's first network with other depth, width, resolution and form.

Until networks are trained, a stand-in for accuracy orders them: doublings of the multiply-adds, minus the imbalance of the three
multipliers against the compound rule. In the rule's paper (arXiv:1905.11946), accuracy within a family rose with multiply-adds
and fell with imbalance. Surgery lowers the stand-in by ``FORM_COSTS``. The report shows how well the stand-in ordered networks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from edgecnn.errors.fit import ResolutionUnderStride, ScaleInvalid, ScaleLeavesNoChannel
from edgecnn.fit.features import counted_of
from edgecnn.fit.predictor import Predicts, fastest_first
from edgecnn.models.catalogue import SILU, SQUEEZE_EXCITE, holds
from edgecnn.models.compound import imbalance_of, scale_arch, scaled_or_same
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.arch import ArchSpec
from edgecnn.values.fit import BudgetMetric, Member, Predicted, Probe
from edgecnn.values.scale import CompoundScale
from edgecnn.values.training import AS_IT_IS, Activation, Form, SqueezeExcite

APART_COSTS = 0.18
"""Doublings of the multiply-adds that equal one step of imbalance. EfficientNet-B0 scaled to 1.8 billion multiply-adds reached
81.1 % of ImageNet by the compound rule, and 79.0 by depth, width or resolution alone (77.3 % at 0.4 billion; arXiv:1905.11946,
table 7). The difference is 2.1 pp, or 1.2 doublings, for 5 to 7.6 steps of φ."""
FORM_COSTS = 0.4
"""The same for removing SiLU, and for removing squeeze-excite. EfficientNet-Lite0 has neither, with B0's multiply-adds: 75.1 % of
ImageNet instead of 77.1 % (github.com/tensorflow/tpu, models/official/efficientnet/lite). A doubling is worth 2.4 pp (B0 to B1).
"""
BYTES = {"int8": 1, "fp16": 2, "openvino-fp16": 4}
"""Bytes of a weight in a candidate's file, by the candidate's name or suffix; else 4. OpenVINO keeps fp16 in a float32 file."""


def probe_of(member: Member, spec: ArchSpec, classes: int) -> Probe:
    """Return a member as a network to time or predict. ``spec``: the unscaled network."""
    arch = scaled_or_same(spec, member.scale, None, spec.resolution_px).spec.name
    return Probe(arch=arch, resolution_px=member.resolution_px, classes=classes, form=member.form)


@dataclass(frozen=True)
class SearchSpace:
    """The networks of a search, and the predictors of their latency."""

    spec: ArchSpec
    base_px: ImageSize
    classes: int
    predictors: Mapping[str, Predicts]
    """By candidate."""
    within: Mapping[BudgetMetric, float]
    pretrained: bool = False
    """Whether training starts from published weights, which fix depth and width."""

    @property
    def activations(self) -> tuple[Activation, ...]:
        """Activations that may replace SiLU; only ``keep`` if the family has none."""
        return ("keep", "relu6", "hard-swish") if holds(self.spec.family, SILU) else ("keep",)

    @property
    def squeeze_excites(self) -> tuple[SqueezeExcite, ...]:
        """Choices for squeeze-excite blocks; only ``keep`` if the family has none."""
        return ("keep", "remove") if holds(self.spec.family, SQUEEZE_EXCITE) else ("keep",)

    def member(self, depth: float, width: float, side_px: int, form: Form = AS_IT_IS) -> Member | None:
        """Return the network of these multipliers and form; None if it cannot be built. ``side_px``: its shorter side."""
        scale = CompoundScale(depth=round(depth, 2), width=round(width, 2), resolution=side_px)
        try:
            return self.scaled_to(scale, form)
        except (ScaleInvalid, ScaleLeavesNoChannel, ResolutionUnderStride):
            return None

    def scaled_to(self, scale: CompoundScale, form: Form = AS_IT_IS) -> Member:
        """Return the network of a scale. Raises ScaleInvalid, ScaleLeavesNoChannel, ResolutionUnderStride: it cannot be built."""
        spec, size = scale_arch(self.spec, scale, self.base_px)
        probe = Probe(arch=spec.name, resolution_px=size, classes=self.classes, form=form)
        counted = counted_of(probe)
        member = Member(
            name=" ".join(filter(None, (scale.text(), form.suffix))),
            scale=scale.text(),
            form=form,
            resolution_px=size,
            parameters=counted.parameters,
            macs=counted.macs,
            standin=self._standin(scale, form, counted.macs),
        )
        return member.model_copy(update={"predicted": self._predicted(probe, member)})

    def _standin(self, scale: CompoundScale, form: Form, macs: int) -> float:
        """Return the stand-in. A pruned network counts with the width of its remaining channels."""
        as_wide = scale.model_copy(update={"width": (scale.width or 1) * (1 - form.pruned)})
        apart = imbalance_of(as_wide, self.base_px.short_px)
        taken = (form.activation != "keep") + (form.squeeze_excite != "keep")
        return round(math.log2(macs) - APART_COSTS * apart - FORM_COSTS * taken, 4)

    def _predicted(self, probe: Probe, member: Member) -> tuple[Predicted, ...]:
        most_mib = self.within.get("size_mib", math.inf)
        fitting = {name: predictor for name, predictor in self.predictors.items() if self._size_mib(member, name) <= most_mib}
        return fastest_first(fitting, probe)

    @staticmethod
    def _size_mib(member: Member, candidate: str) -> float:
        return member.parameters * BYTES.get(candidate, BYTES.get(candidate.rpartition("-")[2], 4)) / 2**20
