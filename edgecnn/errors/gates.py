"""Failures of bounds that a user states, and of evidence that must not be judged."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.wording import counted, did_you_mean


class UnknownMetric(EdgecnnError):
    """Raised when a bound names a metric that no gate knows."""

    def __init__(self, *, where: str, name: str, known: Sequence[str], meant: str | None = None) -> None:
        guess = did_you_mean(name, known, cutoff=0.4) if meant is None else f"did you mean {meant}? "
        super().__init__(what=f"{where}: no metric is called {name!r}", hint=f"{guess}known: {', '.join(known)}")


class MetricNotCompared(EdgecnnError):
    """Raised when a comparison of two builds is bounded by what only a build by itself has."""

    def __init__(self, *, where: str, name: str, known: Sequence[str]) -> None:
        super().__init__(
            what=f"{where}: {name} is not judged against another build",
            because=f"there are {', '.join(known)}",
            hint=f"judge it by itself: edgecnn judge RECIPE {where} {name}=…",
        )


class BoundOfTwoBuilds(EdgecnnError):
    """Raised when one build by itself is bounded by a ratio of two."""

    def __init__(self, *, where: str, name: str) -> None:
        super().__init__(
            what=f"{where}: {name} compares two builds, and only one is named",
            hint=f"edgecnn judge HEAD --against BASE --max {name}=1.03",
        )


class BoundMissing(EdgecnnError):
    """Raised when an option that wants ``name=number`` got something else."""

    def __init__(self, *, where: str, text: str, example: str) -> None:
        super().__init__(what=f"{where}: {text!r} states no bound", hint=f"write name=number, such as {example}")


class BoundOutOfRange(EdgecnnError):
    """Raised when a bound is not a finite number inside the metric's range."""

    def __init__(self, *, where: str, metric: str, bound: object, allowed: str) -> None:
        super().__init__(what=f"{where}: {metric} cannot be bounded by {bound}", because=f"it must be {allowed}")


class BoundOnWrongSide(EdgecnnError):
    """Raised when a largest value is stated for what should be large, or a smallest for what should be small."""

    def __init__(self, *, where: str, metric: str, better: str, right_way: str) -> None:
        super().__init__(
            what=f"{where}: of {metric} {better} is better, so this bound would refuse the best", hint=f"write {right_way}"
        )


class BoundTwice(EdgecnnError):
    """Raised when one command line bounds one metric twice."""

    def __init__(self, *, where: str, metric: str, first: float, second: float) -> None:
        super().__init__(what=f"{where}: {metric} is bounded by both {first:g} and {second:g}", hint="state it once")


class NoImages(EdgecnnError):
    """Raised when an accuracy is asked of no images: nothing right out of nothing is not 100 %."""

    def __init__(self, *, candidate: str, split: str) -> None:
        super().__init__(what=f"{candidate}: there is no accuracy of 0 {split} images")


class OneClassAnswered(EdgecnnError):
    """Raised when a network has fewer than two classes to choose between, so that nothing it says can be wrong."""

    def __init__(self, *, candidate: str, classes: int) -> None:
        super().__init__(
            what=f"{candidate}: there is no accuracy of {counted(classes, 'class', 'classes')}",
            because="every answer would be right",
            hint="give a network with at least two outputs, and images of at least two classes",
        )


class LogitsNotFinite(EdgecnnError):
    """Raised when a candidate answered with NaN or infinity, which an argmax would silently turn into a class."""

    def __init__(
        self, *, candidate: str, image: int, value: float, bad: tuple[int, int], place: tuple[str, str] | None = None
    ) -> None:
        """``bad`` is how many images of how many; ``place`` the split, and a sentence on the layer."""
        self.candidate, self.image, self.value, self.bad = candidate, image, value, bad
        split, layer = (f" of the {place[0]} split", f"; {place[1]}") if place else ("", "")
        super().__init__(
            what=f"{candidate}: logits of image {image}{split} hold {value}",
            because=f"{bad[0]} of {bad[1]} images got an answer that is no number{layer}",
            hint="the arithmetic overflows: leave this precision out, or keep the last layers in fp32",
        )

    def located(self, split: str, layer: str) -> LogitsNotFinite:
        """The same failure, with the split that the image is of and a sentence on the layer."""
        place = (split, layer)
        return LogitsNotFinite(candidate=self.candidate, image=self.image, value=self.value, bad=self.bad, place=place)


class LogitsDoNotMatch(EdgecnnError, exit_code=ExitCode.OWN_FAULT):
    """Raised when logits, labels and baseline logits are not about the same images and classes."""

    def __init__(self, *, candidate: str, ours: str, theirs: str) -> None:
        super().__init__(
            what=f"{candidate}: {ours} cannot be held against {theirs}", hint="evaluate both again on the same images"
        )


class RacesDiffer(EdgecnnError):
    """Raised when a ratio is asked of runs that were not interleaved."""

    def __init__(self, *, ours: str, theirs: str, our_race: str | None, their_race: str | None) -> None:
        super().__init__(
            what=f"no ratio of {ours} to {theirs}",
            because=f"they ran in different races ({our_race or 'none'} and {their_race or 'none'}), under different conditions",
            hint="race them together: edgecnn bench",
        )


class ConditionsDiffer(EdgecnnError):
    """Raised when runs were made under conditions that must match."""

    def __init__(self, *, condition: str, ours: str | None, theirs: str | None) -> None:
        super().__init__(
            what=f"runs cannot be compared: {condition} differs",
            because=f"{ours or 'unknown'} against {theirs or 'unknown'}",
            hint="measure both again on one machine in one state: edgecnn bench",
        )


class RoundTwice(EdgecnnError, exit_code=ExitCode.OWN_FAULT):
    """Raised when a race holds two runs of one kit in one round, so that pairing would be a matter of luck."""

    def __init__(self, *, subject: str, round_: int) -> None:
        super().__init__(
            what=f"{subject} has two runs in round {round_}", hint="delete the run files of this race and race again"
        )
