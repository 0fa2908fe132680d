"""Failures of bounds that a user states, and of results that must not be judged."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.errors.base import EdgecnnError, ErrorRow, ExitCode
from edgecnn.errors.wording import did_you_mean


class LogitsNotFinite(EdgecnnError):
    """A candidate returned NaN or infinity, from which an argmax would make a wrong class without notice."""

    def located(self, split: str, layer: str) -> EdgecnnError:
        """Return the error with the split of the image and a sentence on the layer."""
        facts = {name: self.fields[name] for name in ("candidate", "image", "value", "bad")}
        return logits_not_finite(**facts, place=(split, layer))


UNKNOWN_METRIC = ErrorRow(
    "unknown-metric", "{name!r} in {where} is not a metric", fix="{guess}the known metrics are {known:commas}"
)
METRIC_NOT_COMPARED = ErrorRow(
    "metric-not-compared",
    "{name} in {where} cannot be judged against another build",
    "a comparison judges {known:commas}",
    "judge the build alone with edgecnn judge RECIPE {where} {name}=…",
)
BOUND_OF_TWO_BUILDS = ErrorRow(
    "bound-of-two-builds",
    "{name} in {where} compares two builds, but there is only one",
    fix="run edgecnn judge HEAD --against BASE --max {name}=1.03",
)
BOUND_MISSING = ErrorRow("bound-missing", "{text!r} in {where} is not a bound", fix="write {example}")
BOUND_OUT_OF_RANGE = ErrorRow(
    "bound-out-of-range", "{bound} in {where} is not a valid bound of {metric}", "the bound must be {allowed}"
)
BOUND_ON_WRONG_SIDE = ErrorRow(
    "bound-on-wrong-side",
    "the bound in {where} would reject the best {metric}",
    "for this metric, {better} is better",
    "write {right_way}",
)
BOUND_TWICE = ErrorRow(
    "bound-twice", "{metric} in {where} has two bounds, {first:g} and {second:g}", fix="set only one bound of {metric}"
)
NO_IMAGES = ErrorRow("no-images", "{candidate} has no accuracy, because there are 0 {split} images")
ONE_CLASS_ANSWERED = ErrorRow(
    "one-class-answered",
    "the accuracy of {candidate} means nothing with {classes:counted class/classes}",
    "every prediction would be right",
    "use a network with at least two outputs, and images of at least two classes",
)
LOGITS_NOT_FINITE = ErrorRow(
    "logits-not-finite",
    "the logits of {candidate} for image {image}{of_split} contain {value}",
    "{bad[0]} of {bad[1]} images have logits that are not finite, because the arithmetic overflows{layer}",
    "skip this precision, or keep the last layers in fp32",
    kind=LogitsNotFinite,
)
LOGITS_DO_NOT_MATCH = ErrorRow(
    "logits-do-not-match",
    "in {candidate}, {ours} cannot be compared with {theirs}",
    fix="evaluate both again on the same images",
    exit_code=ExitCode.OWN_FAULT,
)
RACES_DIFFER = ErrorRow(
    "races-differ",
    "no ratio of {ours} to {theirs} is available",
    "the two kits ran in different races ({our_race} and {their_race}), under different conditions",
    "race both kits together with edgecnn bench",
)
CONDITIONS_DIFFER = ErrorRow(
    "conditions-differ",
    "runs with different conditions cannot be compared",
    "the values of {condition} differ ({ours} and {theirs})",
    "measure both again with edgecnn bench, on one machine in one state",
)
ROUND_TWICE = ErrorRow(
    "round-twice",
    "{subject} has two runs in round {round_}",
    fix="delete the run files of this race and race again",
    exit_code=ExitCode.OWN_FAULT,
)


def unknown_metric(where: str, name: str, known: Sequence[str], meant: str | None = None) -> EdgecnnError:
    guess = did_you_mean(name, known, cutoff=0.4) if meant is None else f"did you mean {meant}? "
    return UNKNOWN_METRIC(where=where, name=name, known=known, guess=guess)


def logits_not_finite(
    candidate: str, image: int, value: float, bad: tuple[int, int], place: tuple[str, str] | None = None
) -> EdgecnnError:
    """``bad``: number of affected images and of all; ``place``: the split, and a sentence on the layer."""
    of_split, layer = (f" of the {place[0]} split", f"; {place[1]}") if place else ("", "")
    return LOGITS_NOT_FINITE(candidate=candidate, image=image, value=value, bad=bad, of_split=of_split, layer=layer)


def races_differ(ours: str, theirs: str, our_race: str | None, their_race: str | None) -> EdgecnnError:
    return RACES_DIFFER(ours=ours, theirs=theirs, our_race=our_race or "none", their_race=their_race or "none")


def conditions_differ(condition: str, ours: str | None, theirs: str | None) -> EdgecnnError:
    return CONDITIONS_DIFFER(condition=condition, ours=ours or "unknown", theirs=theirs or "unknown")
