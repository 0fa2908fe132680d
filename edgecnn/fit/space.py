"""The networks that a search looks at: a family's first, deeper or shallower, wider or narrower, finer or coarser, and changed.

What stands in for accuracy until something is trained is a number of doublings of the multiply-adds, less what the three
multipliers lie apart on the compound rule: within a family accuracy grew with the one and fell with the other in the rule's paper
(arXiv:1905.11946). What surgery takes away counts as ``FORM_COSTS`` says. It only orders; how well is reported.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from edgecnn.errors.fit import ResolutionUnderStride, ScaleInvalid, ScaleLeavesNoChannel
from edgecnn.fit.features import counted_of
from edgecnn.fit.predictor import Predicts, fastest_first
from edgecnn.models.catalogue import SILU, SQUEEZE_EXCITE, holds
from edgecnn.models.compound import imbalance_of, scaled, scaled_or_same
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values.arch import ArchSpec
from edgecnn.values.fit import BudgetMetric, Member, Predicted, Probe
from edgecnn.values.scale import CompoundScale
from edgecnn.values.training import AS_IT_IS, Activation, Form, SqueezeExcite

APART_COSTS = 0.18
"""Doublings of the multiply-adds that a step of imbalance is worth. EfficientNet-B0 of 1.8 billion multiply-adds came to 81.1 %
of ImageNet by the compound rule and to 79.0 by depth, width or resolution alone (77.3 % of 0.4 billion; arXiv:1905.11946, table
7): 2.1 pp, or 1.2 doublings, for 5 to 7.6 steps of φ apart."""
FORM_COSTS = 0.4
"""The same of each of SiLU and squeeze-excite, where it goes. EfficientNet-Lite0 has neither, and B0's multiply-adds: 75.1 % of
ImageNet to 77.1 % (github.com/tensorflow/tpu, models/official/efficientnet/lite), where a doubling is worth 2.4 pp (B0 to B1)."""
BYTES = {"int8": 1, "fp16": 2, "openvino-fp16": 4}
"""Of a weight in a candidate's file, by its name or its end; of any other 4: OpenVINO keeps halves in a file of float32."""


def probe_of(member: Member, spec: ArchSpec, classes: int) -> Probe:
    """A member as a network that is timed or predicted. ``spec``: of the unscaled one."""
    arch = scaled_or_same(spec, member.scale, None, spec.resolution_px).spec.name
    return Probe(arch=arch, resolution_px=member.resolution_px, classes=classes, form=member.form)


@dataclass(frozen=True)
class SearchSpace:
    """What is looked at, and by what it is priced."""

    spec: ArchSpec
    base_px: ImageSize
    classes: int
    predictors: Mapping[str, Predicts]
    """By candidate."""
    within: Mapping[BudgetMetric, float]
    pretrained: bool = False
    """Whether training begins from weights that others learned: these are of one depth and width, which then stay."""

    @property
    def activations(self) -> tuple[Activation, ...]:
        """What may stand in the place of SiLU; one where the family has none."""
        return ("keep", "relu6", "hard-swish") if holds(self.spec.family, SILU) else ("keep",)

    @property
    def squeeze_excites(self) -> tuple[SqueezeExcite, ...]:
        """The same of its blocks."""
        return ("keep", "remove") if holds(self.spec.family, SQUEEZE_EXCITE) else ("keep",)

    def member(self, depth: float, width: float, side_px: int, form: Form = AS_IT_IS) -> Member | None:
        """The network of these multipliers in that form; None where there is none. ``side_px``: the shorter one of its input."""
        scale = CompoundScale(depth=round(depth, 2), width=round(width, 2), resolution=side_px)
        try:
            return self.scaled_to(scale, form)
        except (ScaleInvalid, ScaleLeavesNoChannel, ResolutionUnderStride):
            return None

    def scaled_to(self, scale: CompoundScale, form: Form = AS_IT_IS) -> Member:
        """The network of that scale. Raises ScaleInvalid, ScaleLeavesNoChannel, ResolutionUnderStride: there is none."""
        spec, size = scaled(self.spec, scale, self.base_px)
        probe = Probe(arch=spec.name, resolution_px=size, classes=self.classes, form=form)
        counted = counted_of(probe)
        found = Member(
            name=" ".join(filter(None, (scale.text(), form.suffix))),
            scale=scale.text(),
            form=form,
            resolution_px=size,
            parameters=counted.parameters,
            macs=counted.macs,
            standin=self._standin(scale, form, counted.macs),
        )
        return found.model_copy(update={"predicted": self._predicted(probe, found)})

    def _standin(self, scale: CompoundScale, form: Form, macs: int) -> float:
        """A network that lost channels is as wide as those that are left."""
        as_wide = scale.model_copy(update={"width": (scale.width or 1) * (1 - form.pruned)})
        apart = imbalance_of(as_wide, self.base_px.short_px)
        taken = (form.activation != "keep") + (form.squeeze_excite != "keep")
        return round(math.log2(macs) - APART_COSTS * apart - FORM_COSTS * taken, 4)

    def _predicted(self, probe: Probe, member: Member) -> tuple[Predicted, ...]:
        most_mib = self.within.get("size_mib", math.inf)
        fitting = {name: each for name, each in self.predictors.items() if self._size_mib(member, name) <= most_mib}
        return fastest_first(fitting, probe)

    @staticmethod
    def _size_mib(member: Member, candidate: str) -> float:
        return member.parameters * BYTES.get(candidate, BYTES.get(candidate.rpartition("-")[2], 4)) / 2**20
