"""What is reported of a candidate beside median latency: accuracy, several labels an image, and every other figure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, Literal

from pydantic import Field

from edgecnn.values.base import Value
from edgecnn.values.verdict import Fidelity, Interval


class ClassFigures(Value):
    """One class on one split; from ``lost`` on, against the baseline network, and None where there is none."""

    name: str
    images: int
    right: int
    recall: Interval | None
    """Share of its images that got its name, 0…1, with Wilson's interval at two-sided 95 %; over folds the share alone. None of
    no images."""
    f1: float | None
    """Harmonic mean of recall and precision, 0…1; None of no images."""
    lost: int | None = None
    """Its images that the baseline network gets right and this candidate wrong."""
    gained: int | None = None
    """Its images that this candidate gets right and the baseline network wrong."""
    drop_pp: Interval | None = None
    """Paired, in percentage points of its images, positive for worse; two-sided 90 %, for this class alone, and an
    estimate alone over folds."""
    units: UnitLosses | None = Field(default=None, exclude_if=lambda units: units is None)
    """Where its images came in groups or were answered by several networks: what the test counts."""
    p_adjusted: float | None = None
    """Of the exact one-sided sign test on its discordant images, groups or folds, after Holm over all classes of all candidates;
    below 0.05 is shown."""
    regression: Regression | None = None


class UnitLosses(Value):
    """Of one class, groups of images or folds, each of which counts once however many images it lost."""

    kind: Literal["group", "fold"]
    count: int
    """That have images of the class."""
    lost: int
    """In which the candidate is right on fewer images than the baseline network."""
    gained: int
    """In which it is right on more."""


class ClassReport(Value):
    """Every class of one candidate on one split, in the order of the classes."""

    classes: tuple[ClassFigures, ...]
    compared: int = 0
    """Classes with images, over which the p values are adjusted; 0 where there was no baseline network to compare with."""
    candidates: int = Field(default=1, exclude_if=lambda candidates: candidates == 1)
    """Candidates of the build over which they are adjusted as well."""
    lost_to_show: int | None = None
    """So many images (or groups, or folds) lost and none gained are shown whatever the other classes do; a class of fewer has too
    few."""
    worst_drop_pp: Interval | None = None
    """The largest drop of any class, 0 where none drops: two-sided 90 %, holding for all classes at once. ``low`` is 0 where
    no class is shown to lose; ``high`` is 100 where a class has no images, because nothing is known of it."""
    widest: str | None = None
    """The class that ``high`` comes from."""

    @property
    def unit(self) -> Literal["image", "group", "fold"]:
        """What the test of a class counts."""
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
        """Classes of which no regression need show, were it ever so large."""
        return tuple(figures for figures in self.classes if figures.regression in TOO_FEW)


class Quality(Value):
    """Of one split. Intervals, save those of single classes, are two-sided 90 %: each bound is the one-sided 95 % of a gate.

    Macro-F1, the calibration error and the largest drop of a class are estimates alone over folds and in groups."""

    top5: Interval | None
    """Share of images whose class is among the five largest logits, 0…1."""
    macro_f1: Interval
    """Mean F1 over the classes that have images, 0…1."""
    ece: Interval
    """Expected calibration error, 0…1: how far confidence and accuracy are apart, over 15 bins of equal width."""
    agreement: Interval | None
    """Share of images to which the baseline network gives the same first answer, right or wrong, 0…1."""
    classes: ClassReport
    absent: Mapping[str, str] = {}
    """Name of a figure to why it is None."""


class FoldFigures(Value):
    """What one network of a cross-validation got right of the images that it did not learn from."""

    images: int
    right: int
    lost: int | None
    """Images that its fp32 network gets right and this candidate wrong; None of fp32 itself, as the next."""
    gained: int | None


class Folds(Value):
    """Of one candidate: its figures fold by fold, the first of which is of the network that ships.

    An effect is how many times the variance of independent images a figure's variance is: networks that were trained on other
    images differ by themselves. It is 1 where folds do not differ more than images do.
    """

    each: tuple[FoldFigures, ...]
    top1_effect: float
    drop_effect: float
    alone_top1: Interval
    """Of the first network and its test images alone."""
    alone_drop_pp: Interval | None
    worth_images: int
    """Test images, in such groups as its own, that the first network alone would need beyond these, for a drop known as well."""


class Groups(Value):
    """Of one candidate: its test images came in groups, as frames of one video do (``data.group_by``).

    An effect is how many times the variance of independent images a figure's variance is.
    """

    groups: int
    """An image of no group is one by itself."""
    independent: float | None = None
    """(Σn)² / Σn² of groups of n images: for a PASS the images are worth at most so many independent ones. None in a report of
    before this was kept."""
    top1_effect: float
    drop_effect: float


Regression = Literal["shown", "not shown", "too few images", "too few groups", "too few folds"]
TOO_FEW: Final[tuple[Regression, ...]] = ("too few images", "too few groups", "too few folds")


class Steady(Value):
    """Of one race: how many runs fared how. The numbers, save ``late``, add up to the runs."""

    flat: int
    """Steady from the first warm inference on."""
    faster: int
    """Warmed up, then steady."""
    slower: int
    """Got slower, then steady."""
    unsettled: int
    """Still changing in their last half."""
    short: int
    """Of too few inferences to tell."""
    late: int
    """Of those that settled, the runs whose timed inferences had begun before: the figures hold some of the way there."""
    after_ms: Interval | None
    """How long after the first inference they were steady; None unless all were."""
    says: str
    """One sentence; it begins "does not settle" where a run does not."""

    @property
    def unsteady(self) -> str | None:
        """What it says where runs did not settle, or were timed before they had; None where neither was seen."""
        return self.says if self.unsettled or self.late else None


class SoakWindow(Value):
    """One stretch of ten seconds."""

    began_s: float
    p50_ms: float | None
    """None below 20 samples."""
    samples: int
    observed: Mapping[str, str]
    seconds: float | None = None
    """How long it was; None in a report of before this was kept."""


class Sustained(Value):
    """Of one process of one candidate: what is seen, without an interval, since one process has none."""

    windows: tuple[SoakWindow, ...]
    slowdown: float | None
    """The last third of the windows against the first, as a ratio of the medians of their p50: 1.2 is a fifth slower. None of
    fewer than three windows, or where a p50 is missing."""
    throttled: str | None
    """What slowed the machine down, and in how many windows; ``no`` where it did not; None where it cannot tell."""
    says: str
    fidelity: Fidelity
    machine: str
    observed_at: str


class BatchFigure(Value):
    """Of one race: every call took ``batch`` images."""

    batch: int
    images_per_s: Interval | None
    """Median over runs of all images of a run over all the time that its calls took; None where the runs are too few."""
    call_ms: Interval | None
    """The median time of a call, in which ``batch`` images wait for each other."""
    runs: int
    best: bool
    """Whether the screening named this number of images for this candidate."""
    asked: bool
    """Whether it was asked for by number."""
    reason: str | None = None


class Throughput(Value):
    """Of one candidate."""

    figures: tuple[BatchFigure, ...]
    """By growing batch."""
    screened: Mapping[int, float] = {}
    """Images in a call to images a second in the one screening run of each; empty where the best was not looked for."""
    fidelity: Fidelity
    machine: str
    observed_at: str
    reason: str | None = None
    """Why a figure that was asked for is not there."""
    disturbed: str | None = None


class ChannelShift(Value):
    """One statistic of one channel in which the two sets differ, in pixel levels of 0 to 255."""

    channel: Literal["red", "green", "blue"]
    statistic: Literal["level", "contrast", "variety"]
    """Means over images of: an image's own mean; the spread inside it; how far its mean lies from the median image's."""
    calibration: float
    validation: float
    spreads: float
    """The difference, in standard deviations of that statistic among the images of ``validation``."""


class CalibrationFacts(Value):
    """The calibration images of one build."""

    images: int
    classes: int
    """Among them."""
    classes_of: int
    """That the network tells apart."""
    compared: bool
    """Whether there were enough images on both sides to hold their channels against each other."""
    shifts: tuple[ChannelShift, ...] = ()


class Energy(Value):
    """Energy per image of one candidate: medians over process runs. ``None`` where nothing can support the figure."""

    total_mj: Interval | None = None
    """All that the meter covers, over the time that the image took."""
    above_idle_mj: Interval | None = None
    """Of that, what is above the idle power taken before, in the same process; negative where a meter cannot tell them apart."""
    idle_w: Interval | None = None
    meter: str | None = None
    covers: str | None = None
    runs: int = 0
    images: int = 0
    fidelity: Fidelity = Fidelity.MISSING
    machine: str
    observed_at: str = ""
    reason: str | None = None
    """Why there is no figure, and what would make it."""
    disturbed: str | None = None
    """What the machine did besides, where that was enough to draw power of its own."""
    dependent: str | None = None
    """How the runs depend on each other, where they do. Of 16 runs or more the interval is wider then."""


class Memory(Value):
    """Of one candidate: medians over process runs. ``None`` where the sample cannot support the figure, ``reason`` says why."""

    peak_mib: Interval | None = None
    baseline_mib: Interval | None = None
    above_baseline_mib: Interval | None = None
    """What the model added to the runtime's own baseline: the median over runs of their differences."""
    gpu_mib: Interval | None = None
    largest_mib: float | None = None
    """The largest peak of all runs: what a gate bounds, for a process that runs out of memory ends."""
    runs: int = 0
    fidelity: Fidelity = Fidelity.MISSING
    machine: str
    reason: str | None = None
    gpu_reason: str | None = None
    """Why a candidate of a GPU has no GPU memory; None for one of a CPU, which needs none."""


class Accuracy(Value):
    """Top-1 on one split, 0…1, with a 95 % score interval, and the paired drop against fp32 in percentage points.

    The drop's interval is two-sided 90 %, so that each of its bounds is the one-sided 95 % that the gate is judged by.
    """

    split: Literal["validation", "test"]
    images: int
    top1: Interval
    drop_pp: Interval | None
    """Positive: worse than the baseline network. None for the baseline itself."""
    discordant: int | None
    """Images that exactly one of the two networks gets right."""
    fidelity: Fidelity
    machine: str
    pixels: str
    lost: int | None = None
    """Discordant images that the baseline network gets right."""
    gained: int | None = None
    """Discordant images that this candidate gets right."""
    folds: Folds | None = Field(default=None, exclude_if=lambda folds: folds is None)
    """Of cross-validation: every figure here is of the test images of all folds, each answered by the network of its fold.
    ``pixels`` are those of the first."""
    groups: Groups | None = Field(default=None, exclude_if=lambda groups: groups is None)
    """Where test images came in groups. Over folds, the effects are in ``folds``."""
    quality: Quality | None = None
    """What top-1 does not say, by class too: of the test split alone, since nothing is chosen by it."""

    @property
    def share(self) -> Interval:
        """What the network is judged by first."""
        return self.top1

    @property
    def dependence(self) -> str | None:
        """What an interval must allow for where test images are not independent; None where they are."""
        if self.folds is not None:
            return "the different networks of the folds"
        return None if self.groups is None else "groups of similar images"

    @property
    def shown_quality(self) -> Quality | None:
        """The quality, with an estimate alone where an interval takes images for independent that are not.

        Over folds that is every interval of a class. In groups a class has its own, save in a report of before groups were kept.
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
        """How many times the variance of independent images that of top-1 is."""
        within = self.folds or self.groups
        return 1.0 if within is None else within.top1_effect

    @property
    def independent_at_most(self) -> float:
        """Independent images that the test images are worth for a PASS: without limit unless they came in groups."""
        return math.inf if self.groups is None else self.groups.independent or self.groups.groups

    @property
    def drop_effect(self) -> float:
        """The same of the drop."""
        within = self.folds or self.groups
        return 1.0 if within is None else within.drop_effect


def _alone(figure: Interval | None) -> Interval | None:
    return None if figure is None else figure.alone


class Agreement(Value):
    """Share of images with fp32's own answer, 0…1, with a 95 % score interval.

    Accuracy can have fallen by no more than the share of other answers, and nothing says how many of those are wrong.
    """

    split: Literal["validation", "test"]
    images: int
    same: Interval
    effect: float = Field(default=1.0, exclude_if=lambda effect: effect == 1)
    """How many times the variance of independent images that of the share is: more than 1 where images came in groups."""
    independent: float | None = Field(default=None, exclude_if=lambda independent: independent is None)
    """Where images came in groups, for a PASS they are worth at most so many independent ones."""
    groups: int | None = Field(default=None, exclude_if=lambda groups: groups is None)
    """In how many they came; None where they are independent, and in a report of before this was kept."""
    fidelity: Fidelity
    machine: str
    pixels: str

    @property
    def differing_pp(self) -> float:
        """Other answers than fp32's, in percentage points of the images: no drop of accuracy can be larger."""
        return 100 * (1 - self.same.estimate)


def group_count(accuracy: Accuracy | MultiLabelAccuracy | Agreement) -> int | None:
    """Groups that the images came in; None where they are independent."""
    return accuracy.groups.groups if isinstance(accuracy.groups, Groups) else accuracy.groups


class LabelFigures(Value):
    """One label on one split, at the threshold that ships."""

    name: str
    images: int
    """That have it."""
    threshold: float
    """Of the probability from which on an image gets it, 0…1."""
    average_precision: float | None
    """0…1; None of no images."""
    precision: Interval | None
    """Share of the images that got it that have it, 0…1, with Wilson's interval at two-sided 95 %; None where none got it."""
    recall: Interval | None
    """Share of the images that have it that got it, likewise; None of no images."""
    f1: float | None
    """Harmonic mean of the two, 0…1; None of no images."""


class MultiLabelAccuracy(Value):
    """Of one split. Intervals are by image, from the exact delete-one jackknife; save for ``map`` and single labels they are
    two-sided 90 %: each bound is the one-sided 95 % of a gate."""

    split: Literal["validation", "test"]
    images: int
    map: Interval
    """Mean average precision over the labels that have images, 0…1, at two-sided 95 %."""
    map_bounds: Interval | None = None
    """The same at two-sided 90 %; None in a report of before this was kept."""
    trials: float
    """As well as ``map`` is known would a share be known of so many images."""
    drop_pp: Interval | None
    """Of ``map`` against the baseline network, paired, in percentage points, positive for worse. None for the baseline itself."""
    drop_images: float | None = None
    """So many images, of so many groups, would each count as much for the drop as one does that is answered as another."""
    groups: int | None = Field(default=None, exclude_if=lambda groups: groups is None)
    """Where images came in groups, as frames of one video do: of how many the intervals are."""
    micro_f1: Interval
    """F1 of all decisions of all labels together, 0…1."""
    macro_f1: Interval
    """Mean F1 over the labels that have images, 0…1."""
    agreement: Interval | None
    """Share of images that get the very labels that the baseline network gives, 0…1; None for the baseline itself."""
    labels: tuple[LabelFigures, ...] = ()
    """Empty of what a bundle remembers."""
    fidelity: Fidelity
    machine: str
    pixels: str

    @property
    def share(self) -> Interval:
        """What the network is judged by first: ``map``, as top-1 is of one class an image."""
        return self.map

    @property
    def left_out(self) -> tuple[str, ...]:
        """Labels that no image of the split has, of which neither average precision nor recall is known."""
        return tuple(label.name for label in self.labels if not label.images)
