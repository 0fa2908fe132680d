"""What is reported of a candidate beside top-1 and median latency."""

from __future__ import annotations

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
        found = [
            (each, each.drop_pp.estimate) for each in self.classes if each.regression == "shown" and each.drop_pp is not None
        ]
        return tuple(each for each, _ in sorted(found, key=lambda pair: -pair[1]))

    def too_small(self) -> tuple[ClassFigures, ...]:
        """Classes of which no regression need show, were it ever so large."""
        return tuple(each for each in self.classes if each.regression in TOO_FEW)


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
