"""Search the networks of a space: draw, count and predict many, and train none.

A space holds a family's first network with other depth, width, resolution and form. Optuna's NSGA-II (Deb and others, 2002)
lowers predicted latency and raises a stand-in for accuracy, near the latency budget if there is one, because few networks can
be trained. The study is an SQLite file in the store, so an interrupted search resumes, and one of several processes with the
same question draws it.

The stand-in is the doublings of the multiply-adds, minus the imbalance of the three multipliers against the compound rule. In
the rule's paper (arXiv:1905.11946), accuracy within a family rose with multiply-adds and fell with imbalance. Surgery lowers
the stand-in by ``FORM_COSTS``. The report shows how well the stand-in ordered networks.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.errors.fit import ResolutionUnderStride, ScaleInvalid, ScaleLeavesNoChannel
from edgecnn.fit.choose import pareto_front
from edgecnn.fit.predictor import Predicts, count_cost, fastest_first
from edgecnn.models.catalogue import SILU, SQUEEZE_EXCITE, holds
from edgecnn.models.compound import imbalance_of, scale_arch, scaled_or_same
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.values import fit
from edgecnn.values.arch import ArchSpec
from edgecnn.values.fit import BudgetMetric, Member, Probe
from edgecnn.values.scale import CompoundScale
from edgecnn.values.stage import Progress
from edgecnn.values.training import AS_IT_IS, Activation, Form, SqueezeExcite

if TYPE_CHECKING:
    import optuna


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
        counted = count_cost(probe)
        member = Member(
            name=" ".join(filter(None, (scale.text(), form.suffix))),
            scale=scale.text(),
            form=form,
            resolution_px=size,
            parameters=counted.parameters,
            macs=counted.macs,
            standin=self._standin(scale, form, counted.macs),
        )
        most_mib = self.within.get("size_mib", math.inf)
        fitting = {name: predictor for name, predictor in self.predictors.items() if self._size_mib(member, name) <= most_mib}
        return member.model_copy(update={"predicted": fastest_first(fitting, probe)})

    def _standin(self, scale: CompoundScale, form: Form, macs: int) -> float:
        """Return the stand-in. A pruned network counts with the width of its remaining channels."""
        as_wide = scale.model_copy(update={"width": (scale.width or 1) * (1 - form.pruned)})
        apart = imbalance_of(as_wide, self.base_px.short_px)
        taken = (form.activation != "keep") + (form.squeeze_excite != "keep")
        return round(math.log2(macs) - APART_COSTS * apart - FORM_COSTS * taken, 4)

    @staticmethod
    def _size_mib(member: Member, candidate: str) -> float:
        return member.parameters * BYTES.get(candidate, BYTES.get(candidate.rpartition("-")[2], 4)) / 2**20


DEPTHS, WIDTHS, SIDES = (0.3, 1.8), (0.25, 1.8), (0.4, 1.6)
"""Ranges of the multipliers; ``SIDES`` relative to the network's resolution."""
SIDE_STEP_PX = 16
MOST_PRUNED, PRUNED_STEP = 0.6, 0.05
POPULATION, SEED = 32, 0
NEAR = 1.5
"""Networks are searched up to this many times the latency budget, since predictions may be that far off."""
BEYOND_COSTS = 100.0
"""Loss of the stand-in for each factor e of latency beyond ``NEAR``, so that networks inside are better in both aims."""


def code_of_trials() -> str:
    """Return a digest of the modules that decide the content of stored trials, so that other code draws a new study."""
    files = [Path(__file__).with_name(f"{name}.py") for name in ("predictor", "search")] + [Path(fit.__file__)]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def search_space(space: SearchSpace, trials: int, file: Path, tell: Progress) -> tuple[Member, ...]:
    """Return distinct networks of ``trials`` trials, in the order of the search. ``file``: a study to start or resume."""
    from optuna.trial import TrialState

    study, most = _study(file), math.log(NEAR * space.within.get("p50_ms", math.inf))
    if not study.trials:
        _begin_with_smallest(study, space)
    for done in range(len(_finished_trials(study)), trials):  # counted once, because counting reads the complete study
        tell.step("predict networks", done, trials, "networks")
        trial = study.ask()
        member = _draw(trial, space)
        if member is None or not member.predicted:
            study.tell(trial, state=TrialState.FAIL)
            continue
        trial.set_user_attr("member", member.model_dump(mode="json"))
        took = math.log(guessed_ms(member))
        study.tell(trial, (took, member.standin - BEYOND_COSTS * max(0.0, took - most)))
    tell.step("predict networks", trials, trials, "networks")
    finished = _finished_trials(study)[:trials]
    members = (Member.model_validate(drawn.user_attrs["member"]) for drawn in finished if "member" in drawn.user_attrs)
    distinct: dict[tuple[int, int, ImageSize, str], Member] = {}
    for candidate in members:
        distinct.setdefault(identity_of(candidate), candidate)
    return tuple(distinct.values())


def _draw(trial: optuna.Trial, space: SearchSpace) -> Member | None:
    """Draw a network. Half of them are pruned and keep their scale, because both make a network narrower.

    Networks with pretrained weights keep depth and width, at any resolution.
    """
    steps = _side_range(space)
    depth, width = trial.suggest_float("depth", *DEPTHS, log=True), trial.suggest_float("width", *WIDTHS, log=True)
    side_px = SIDE_STEP_PX * trial.suggest_int("side", *steps)
    pruned = max(0.0, round(trial.suggest_float("pruned", -MOST_PRUNED, MOST_PRUNED, step=PRUNED_STEP), 2))
    form = Form(
        activation=trial.suggest_categorical("activation", space.activations),
        squeeze_excite=trial.suggest_categorical("squeeze_excite", space.squeeze_excites),
        pruned=pruned,
    )
    if pruned or space.pretrained:
        depth = width = 1.0
    if pruned and not space.pretrained:
        side_px = space.base_px.short_px
    return space.member(depth, width, side_px, form)


def _begin_with_smallest(study: optuna.Study, space: SearchSpace) -> None:
    """Start with the smallest networks, pruned and not, so that an unreachable budget is known for the complete space."""
    least = {"depth": DEPTHS[0], "width": WIDTHS[0], "side": _side_range(space)[0]}
    changed = {"activation": "relu6" if "relu6" in space.activations else "keep", "squeeze_excite": space.squeeze_excites[-1]}
    for pruned in (-MOST_PRUNED, MOST_PRUNED):
        study.enqueue_trial({**least, **changed, "pruned": pruned})


def _side_range(space: SearchSpace) -> list[int]:
    """Return the smallest and the largest shorter side, in units of ``SIDE_STEP_PX``."""
    return [max(2, round(share * space.base_px.short_px / SIDE_STEP_PX)) for share in SIDES]


def _study(file: Path) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    file.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=f"sqlite:///{file}", study_name="fit", directions=["minimize", "maximize"], load_if_exists=True
    )
    # with a fixed seed, a resumed study would draw the same networks again
    study.sampler = optuna.samplers.NSGAIISampler(population_size=POPULATION, seed=SEED + len(study.trials))
    return study


def _finished_trials(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Return the finished trials; an interrupted one is drawn again."""
    return [trial for trial in study.trials if trial.state.is_finished()]


def identity_of(member: Member) -> tuple[int, int, ImageSize, str]:
    """Return a key that is equal for multipliers that round to the same network."""
    return member.macs, member.parameters, member.resolution_px, "-".join(map(str, _form_changes(member.form)))


def predicted_front(members: Iterable[Member]) -> tuple[Member, ...]:
    """Return the Pareto front of predicted latency and stand-in, the fastest first."""
    known = [member for member in members if member.best_predicted is not None]
    return pareto_front(known, predicted_ms, lambda member: member.standin)


def predicted_ms(member: Member) -> float:
    """Return the latency of the fastest candidate; infinite without a prediction inside the table's range."""
    return member.best_predicted.p50_ms.estimate if member.best_predicted else math.inf


def guessed_ms(member: Member) -> float:
    """Return the latency of the fastest candidate, extrapolated if necessary."""
    return member.predicted[0].p50_ms.estimate if member.predicted else math.inf


def spread_out(members: Iterable[Member], count: int, base_px: ImageSize) -> tuple[Member, ...]:
    """Return up to ``count`` members: the best by the stand-in of each way to be smaller, then the second best of each.

    The way that costs the least accuracy depends on the images, and only a training shows it. No two members are alike.
    """
    waiting = sorted(members, key=lambda member: -member.standin)
    taken: list[Member] = []
    while waiting and len(taken) < count:
        used = Counter(biggest_saving(member, base_px) for member in taken)
        taken.append(min(waiting, key=lambda member: used[biggest_saving(member, base_px)]))  # the first of equals is the best
        waiting = [member for member in waiting if all(are_unlike(member, other) for other in taken)]
    return tuple(taken)


def biggest_saving(member: Member, base_px: ImageSize) -> str:
    """Return the change that saves the most multiply-adds: ``resolution``, ``depth``, ``width``, ``pruned`` or ``form``."""
    scale = CompoundScale.from_text(member.scale)
    saved = {
        "form": 0.0,
        "resolution": math.log(base_px.area_px / member.resolution_px.area_px),
        "depth": -math.log(scale.depth or 1),
        "width": -2 * math.log(scale.width or 1),
        "pruned": -2 * math.log(1 - member.form.pruned),
    }
    return max(saved, key=saved.__getitem__)


UNLIKE = 1.12
"""Ratio of depth, width or resolution above which two networks are not alike."""


def are_unlike(one: Member, other: Member) -> bool:
    """Whether two members differ in form, or by ``UNLIKE`` in any multiplier."""
    if _form_changes(one.form) != _form_changes(other.form):
        return True
    ratios = [first / second for first, second in zip(one.multipliers, other.multipliers, strict=True)]
    return max(abs(math.log(ratio)) for ratio in ratios) > math.log(UNLIKE)


def _form_changes(form: Form) -> tuple[str, str, bool]:
    return form.activation, form.squeeze_excite, form.pruned > 0
