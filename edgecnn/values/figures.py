"""Reported figures of a candidate other than median latency: accuracy, multi-label accuracy, and more."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, Literal

from pydantic import Field

from edgecnn.values.base import Value
from edgecnn.values.verdict import Fidelity, Interval


class ClassFigures(Value):
    """One class on one split. Fields from ``lost`` on compare with the baseline network; None if there is none."""

    name: str
    images: int
    right: int
    recall: Interval | None
    """Share of its images that are classified correctly, 0…1, with Wilson's two-sided 95 % interval; over folds, without
    interval. None without images."""
    f1: float | None
    """Harmonic mean of recall and precision, 0…1; None without images."""
    lost: int | None = None
    """Its images that only the baseline network classifies correctly."""
    gained: int | None = None
    """Its images that only this candidate classifies correctly."""
    drop_pp: Interval | None = None
    """Paired drop in percentage points of its images, positive for worse; two-sided 90 % for this class alone, without interval
    over folds."""
    units: UnitLosses | None = Field(default=None, exclude_if=lambda units: units is None)
    """Units of the test if its images are in groups or were tested by several networks."""
    p_adjusted: float | None = None
    """p value of the exact one-sided sign test on its discordant images, groups or folds, after Holm's correction over all
    classes of all candidates. Below 0.05, the regression is shown."""
    regression: Regression | None = None


class UnitLosses(Value):
    """For one class, groups of images or folds; each counts once, however many images it lost."""

    kind: Literal["group", "fold"]
    count: int
    """Units with images of the class."""
    lost: int
    """Units in which the candidate classifies fewer images correctly than the baseline network."""
    gained: int
    """Units in which it classifies more correctly."""


class ClassReport(Value):
    """Every class of one candidate on one split, in class order."""

    classes: tuple[ClassFigures, ...]
    compared: int = 0
    """Number of classes with images, for the correction of p values; 0 without a baseline network."""
    candidates: int = Field(default=1, exclude_if=lambda candidates: candidates == 1)
    """Number of candidates of the build, for the same correction."""
    lost_to_show: int | None = None
    """This many lost images (or groups, or folds) and none gained are shown whatever the other classes do; smaller classes show
    nothing."""
    worst_drop_pp: Interval | None = None
    """The largest drop of any class, 0 if none drops: two-sided 90 %, simultaneous for all classes. ``low`` is 0 if no class is
    shown to lose; ``high`` is 100 if a class has no images, because nothing is known about it."""
    widest: str | None = None
    """The class of ``high``."""

    @property
    def unit(self) -> Literal["image", "group", "fold"]:
        """The unit of the test of a class."""
        kinds = (figures.units.kind for figures in self.classes if figures.units is not None)
        return next(kinds, "image")

    def shown(self) -> tuple[ClassFigures, ...]:
        """Classes with a shown regression, the largest drop first."""
        regressions = [
            (figures, figures.drop_pp.estimate)
            for figures in self.classes
            if figures.regression == "shown" and figures.drop_pp is not None
        ]
        return tuple(figures for figures, _ in sorted(regressions, key=lambda pair: -pair[1]))

    def too_small(self) -> tuple[ClassFigures, ...]:
        """Classes that are too small for any regression to be shown."""
        return tuple(figures for figures in self.classes if figures.regression in TOO_FEW)


class Quality(Value):
    """Figures of one split. Except for single classes, intervals are two-sided 90 %, so each bound is the one-sided 95 % of a
    gate.

    Macro-F1, the calibration error and the largest drop of a class have no interval over folds and in groups.
    """

    top5: Interval | None
    """Share of images whose class is among the five largest logits, 0…1."""
    macro_f1: Interval
    """Mean F1 over the classes with images, 0…1."""
    ece: Interval
    """Expected calibration error, 0…1: the difference between confidence and accuracy, over 15 bins of equal width."""
    agreement: Interval | None
    """Share of images with the same prediction as the baseline network, right or wrong, 0…1."""
    classes: ClassReport
    absent: Mapping[str, str] = {}
    """Name of a figure to the reason why it is None."""


class FoldFigures(Value):
    """Correct predictions of one network of a cross-validation, on images that it was not trained on."""

    images: int
    right: int
    lost: int | None
    """Images that only its fp32 network classifies correctly; None for fp32 itself, as the next field."""
    gained: int | None


class Folds(Value):
    """Figures of one candidate in each fold; the first fold's network ships.

    An effect is the variance of a figure relative to independent images, because networks trained on different images differ. It
    is 1 if folds do not differ more than images do.
    """

    each: tuple[FoldFigures, ...]
    top1_effect: float
    drop_effect: float
    alone_top1: Interval
    """Accuracy of the first network on its test images alone."""
    alone_drop_pp: Interval | None
    worth_images: int
    """Additional test images, in similar groups, that the first network alone would need for an equally precise drop."""


class Groups(Value):
    """For one candidate whose test images are in groups, such as frames of one video (``data.group_by``).

    An effect is the variance of a figure relative to independent images.
    """

    groups: int
    """Number of groups; an image without a group counts as one."""
    independent: float | None = None
    """(Σn)² / Σn² for groups of n images: the largest number of independent images that the images count as for a PASS. None in
    older reports."""
    top1_effect: float
    drop_effect: float


Regression = Literal["shown", "not shown", "too few images", "too few groups", "too few folds"]
TOO_FEW: Final[tuple[Regression, ...]] = ("too few images", "too few groups", "too few folds")


class Steady(Value):
    """Stability of the runs of one race. The numbers, except ``late``, add up to the runs."""

    flat: int
    """Steady from the first warm inference."""
    faster: int
    """Warmed up, then steady."""
    slower: int
    """Slowed down, then steady."""
    unsettled: int
    """Still changing in the last half."""
    short: int
    """Too few inferences to tell."""
    late: int
    """Settled runs whose timed inferences had begun before they were steady, so figures include some warm-up."""
    after_ms: Interval | None
    """Seconds from the first inference until they were steady; None unless all were."""
    says: str
    """One sentence; it starts with "does not settle" if a run does not."""

    @property
    def unsteady(self) -> str | None:
        """The sentence if runs did not settle, or were timed before they had; otherwise None."""
        return self.says if self.unsettled or self.late else None


class SoakWindow(Value):
    """One window of ten seconds."""

    began_s: float
    p50_ms: float | None
    """None below 20 samples."""
    samples: int
    observed: Mapping[str, str]
    seconds: float | None = None
    """Length of the window; None in older reports."""


class Sustained(Value):
    """Sustained load of one process of one candidate, without intervals, since there is only one process."""

    windows: tuple[SoakWindow, ...]
    slowdown: float | None
    """Ratio of the last third of the windows to the first, by medians of their p50: 1.2 is a fifth slower. None with fewer than
    three windows, or if a p50 is missing."""
    throttled: str | None
    """Causes of throttling, and in how many windows; ``no`` if there was none; None if the machine cannot tell."""
    says: str
    fidelity: Fidelity
    machine: str
    observed_at: str


class BatchFigure(Value):
    """One race in which every call had ``batch`` images."""

    batch: int
    images_per_s: Interval | None
    """Median over runs of images divided by the time of all calls; None with too few runs."""
    call_ms: Interval | None
    """Median time of a call, in which ``batch`` images wait for each other."""
    runs: int
    best: bool
    """Whether screening chose this batch size for this candidate."""
    asked: bool
    """Whether this batch size was requested."""
    reason: str | None = None


class Throughput(Value):
    """Throughput of one candidate."""

    figures: tuple[BatchFigure, ...]
    """By increasing batch size."""
    screened: Mapping[int, float] = {}
    """Batch size to images a second in one screening run each; empty if the best was not searched."""
    fidelity: Fidelity
    machine: str
    observed_at: str
    reason: str | None = None
    """Why a requested figure is missing."""
    disturbed: str | None = None


class ChannelShift(Value):
    """One statistic of one channel that differs between the two sets, in pixel levels of 0 to 255."""

    channel: Literal["red", "green", "blue"]
    statistic: Literal["level", "contrast", "variety"]
    """Means over images: of an image's own mean, of its spread, and of the distance between its mean and the median image's."""
    calibration: float
    validation: float
    spreads: float
    """The difference, in standard deviations of that statistic among the ``validation`` images."""


class CalibrationFacts(Value):
    """The calibration images of one build."""

    images: int
    classes: int
    """Number of classes among them."""
    classes_of: int
    """Number of classes of the network."""
    compared: bool
    """Whether both sets have enough images to compare their channels."""
    shifts: tuple[ChannelShift, ...] = ()


class Energy(Value):
    """Energy per image of one candidate: medians over process runs. ``None`` if a figure is not supported."""

    total_mj: Interval | None = None
    """Everything that the meter covers, during the image's time."""
    above_idle_mj: Interval | None = None
    """The part above idle power, which was measured before in the same process; negative if the meter cannot separate them."""
    idle_w: Interval | None = None
    meter: str | None = None
    covers: str | None = None
    runs: int = 0
    images: int = 0
    fidelity: Fidelity = Fidelity.MISSING
    machine: str
    observed_at: str = ""
    reason: str | None = None
    """Why there is no figure, and how to get one."""
    disturbed: str | None = None
    """Other work of the machine, if it was enough to use power."""
    dependent: str | None = None
    """How the runs depend on each other, if they do. With 16 runs or more the interval is then wider."""


class Memory(Value):
    """Memory of one candidate: medians over process runs. ``None`` if the sample does not support the figure; ``reason`` says
    why.
    """

    peak_mib: Interval | None = None
    baseline_mib: Interval | None = None
    above_baseline_mib: Interval | None = None
    """Memory that the model adds to the runtime's own: the median difference over runs."""
    gpu_mib: Interval | None = None
    largest_mib: float | None = None
    """The largest peak of all runs, which gates use, because running out of memory ends a process."""
    runs: int = 0
    fidelity: Fidelity = Fidelity.MISSING
    machine: str
    reason: str | None = None
    gpu_reason: str | None = None
    """Why a GPU candidate has no GPU memory; None for a CPU candidate."""


class Accuracy(Value):
    """Top-1 on one split, 0…1, with a 95 % score interval, and the paired drop from fp32 in percentage points.

    The drop's interval is two-sided 90 %, so each of its bounds is the one-sided 95 % of a gate.
    """

    split: Literal["validation", "test"]
    images: int
    top1: Interval
    drop_pp: Interval | None
    """Positive: worse than the baseline network. None for the baseline itself."""
    discordant: int | None
    """Images that exactly one of the two networks classifies correctly."""
    fidelity: Fidelity
    machine: str
    pixels: str
    lost: int | None = None
    """Discordant images that the baseline network classifies correctly."""
    gained: int | None = None
    """Discordant images that this candidate classifies correctly."""
    folds: Folds | None = Field(default=None, exclude_if=lambda folds: folds is None)
    """For cross-validation: every figure covers the test images of all folds, each classified by its fold's network. ``pixels``
    are those of the first."""
    groups: Groups | None = Field(default=None, exclude_if=lambda groups: groups is None)
    """If test images are in groups. Over folds, the effects are in ``folds``."""
    quality: Quality | None = None
    """Further figures, also by class; for the test split only, since no choice uses them."""

    @property
    def share(self) -> Interval:
        """The main figure of the network."""
        return self.top1

    @property
    def dependence(self) -> str | None:
        """The dependence that an interval must allow for; None if test images are independent."""
        if self.folds is not None:
            return "the different networks of the folds"
        return None if self.groups is None else "groups of similar images"

    @property
    def shown_quality(self) -> Quality | None:
        """The quality, without intervals that would treat dependent images as independent.

        Over folds, this removes every interval of a class. In groups a class has its own, except in older reports.
        """
        if self.quality is None or self.dependence is None:
            return self.quality
        classes = self.quality.classes
        if self.folds is not None or (self.groups is not None and self.groups.independent is None):
            alone = tuple(
                figures.model_copy(update={"recall": _alone(figures.recall), "drop_pp": _alone(figures.drop_pp)})
                for figures in classes.classes
            )
            classes = classes.model_copy(update={"classes": alone})
        classes = classes.model_copy(update={"worst_drop_pp": _alone(classes.worst_drop_pp)})
        kept = {"macro_f1": self.quality.macro_f1.alone, "ece": self.quality.ece.alone, "classes": classes}
        return self.quality.model_copy(update=kept)

    @property
    def top1_effect(self) -> float:
        """Variance of top-1 relative to independent images."""
        within = self.folds or self.groups
        return 1.0 if within is None else within.top1_effect

    @property
    def independent_at_most(self) -> float:
        """Independent images that the test images count as for a PASS; unlimited unless they are in groups."""
        return math.inf if self.groups is None else self.groups.independent or self.groups.groups

    @property
    def drop_effect(self) -> float:
        """Variance of the drop relative to independent images."""
        within = self.folds or self.groups
        return 1.0 if within is None else within.drop_effect


def _alone(figure: Interval | None) -> Interval | None:
    return None if figure is None else figure.alone


class Agreement(Value):
    """Share of images with fp32's prediction, 0…1, with a 95 % score interval.

    Accuracy can have dropped at most by the share of other predictions; it is unknown how many of those are wrong.
    """

    split: Literal["validation", "test"]
    images: int
    same: Interval
    effect: float = Field(default=1.0, exclude_if=lambda effect: effect == 1)
    """Variance of the share relative to independent images: more than 1 if images are in groups."""
    independent: float | None = Field(default=None, exclude_if=lambda independent: independent is None)
    """Independent images that the images count as for a PASS, if they are in groups."""
    groups: int | None = Field(default=None, exclude_if=lambda groups: groups is None)
    """Number of groups; None if images are independent, and in older reports."""
    fidelity: Fidelity
    machine: str
    pixels: str

    @property
    def differing_pp(self) -> float:
        """Predictions that differ from fp32's, in percentage points of the images: an upper bound of the accuracy drop."""
        return 100 * (1 - self.same.estimate)


def group_count(accuracy: Accuracy | MultiLabelAccuracy | Agreement) -> int | None:
    """Return the number of groups of the images; None if they are independent."""
    return accuracy.groups.groups if isinstance(accuracy.groups, Groups) else accuracy.groups


class LabelFigures(Value):
    """One label on one split, at the shipped threshold."""

    name: str
    images: int
    """Images that have the label."""
    threshold: float
    """Smallest probability at which an image gets the label, 0…1."""
    average_precision: float | None
    """Average precision, 0…1; None without images."""
    precision: Interval | None
    """Share of correct images among those that got the label, 0…1, with Wilson's two-sided 95 % interval; None if none got it."""
    recall: Interval | None
    """Share of images with the label that got it, likewise; None without images."""
    f1: float | None
    """Harmonic mean of the two, 0…1; None without images."""


class MultiLabelAccuracy(Value):
    """Multi-label figures of one split, with intervals over images from the exact delete-one jackknife.

    Except for ``map`` and single labels, intervals are two-sided 90 %, so each bound is the one-sided 95 % of a gate.
    """

    split: Literal["validation", "test"]
    images: int
    map: Interval
    """Mean average precision over the labels with images, 0…1, at two-sided 95 %."""
    map_bounds: Interval | None = None
    """``map`` with a two-sided 90 % interval; None in older reports."""
    trials: float
    """Number of images with which a share would be known as precisely as ``map``."""
    drop_pp: Interval | None
    """Drop of ``map`` from the baseline network, paired, in percentage points, positive for worse. None for the baseline itself.
    """
    drop_images: float | None = None
    """Number of images, or groups, that the drop is worth if each counted as much as one with a different prediction."""
    groups: int | None = Field(default=None, exclude_if=lambda groups: groups is None)
    """Number of groups behind the intervals, if images are in groups, such as frames of one video."""
    micro_f1: Interval
    """F1 of all decisions of all labels together, 0…1."""
    macro_f1: Interval
    """Mean F1 over the labels with images, 0…1."""
    agreement: Interval | None
    """Share of images with exactly the labels of the baseline network, 0…1; None for the baseline itself."""
    labels: tuple[LabelFigures, ...] = ()
    """Empty in the record of a bundle."""
    fidelity: Fidelity
    machine: str
    pixels: str

    @property
    def share(self) -> Interval:
        """The main figure of the network: ``map``, as top-1 for single-label networks."""
        return self.map

    @property
    def left_out(self) -> tuple[str, ...]:
        """Labels without an image in the split, which have neither average precision nor recall."""
        return tuple(label.name for label in self.labels if not label.images)
