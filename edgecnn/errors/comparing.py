"""Failures of comparing one finished build with another, or with a recorded baseline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ErrorRow, ExitCode
from edgecnn.errors.wording import builds_to_pass, did_you_mean, listed, nearest, plural, shell_word


class NoBuildToCompare(EdgecnnError):
    """A folder is neither a finished build nor a bundle."""


class BundleUnreadable(EdgecnnError):
    """A file of a bundle, or the plan next to it, is truncated, was edited, or is of a later version."""


class KitNotCarried(EdgecnnError):
    """The kit to race is not in the bundle: nothing was chosen, or another candidate was named."""


class NoBuildToJudge(EdgecnnError):
    """The subject of ``judge`` is neither a recipe nor the folder of a finished build."""


NO_BUILD_TO_COMPARE = ErrorRow(
    "no-build-to-compare",
    "{folder} is neither a finished build nor a bundle",
    "{because}",
    "{hint}",
    kind=NoBuildToCompare,
)
NO_BASE_TO_COMPARE = ErrorRow(
    "no-base-to-compare",
    "{folder} is not a build, a bundle or a pinned record",
    "no such file or folder exists",
    "{hint}",
    kind=NoBuildToCompare,
)
BUNDLE_UNREADABLE = ErrorRow("bundle-unreadable", "{path} cannot be read", "{because}", "{hint}", kind=BundleUnreadable)
KIT_NOT_CARRIED = ErrorRow(
    "kit-not-carried",
    "{what}",
    "{kits}",
    "{hint}",
    exit_code=ExitCode.MISSING,
    kind=KitNotCarried,
    also=("carried",),
)
OPTIONS_NOT_WITH_AGAINST = ErrorRow(
    "options-not-with-against",
    "--against cannot be combined with {options:commas}",
    "--against races two finished builds as they are",
    "run edgecnn judge HEAD --against BASE [--max METRIC=NUMBER]",
)
ROUNDS_WITHOUT_AGAINST = ErrorRow(
    "rounds-without-against",
    "--rounds applies to a comparison, but there is no --against",
    fix="pass --against BASE; to race one build longer, build again with --set race.rounds={rounds}",
)
ROUNDS_WITH_RUNS = ErrorRow(
    "rounds-with-runs",
    "--rounds applies to a race here, but --runs supplies finished runs",
    fix="on the device, in the kit's folder, run python3 -m runner measure ../.. --rounds {rounds}",
)
NO_RECORDED_RACE = ErrorRow(
    "no-recorded-race",
    "there are no runs of {candidate} to record",
    "{because}",
    "measure the kit on its device, then run: edgecnn baseline import BUILD RUNS --out FILE",
    exit_code=ExitCode.MISSING,
)
RECORDED_RACE_GONE = ErrorRow(
    "recorded-race-gone",
    "there are no runs of {candidate} to record",
    "the store {store} does not hold the race of {observed_at}",
    "rerun the build command to race again",
    exit_code=ExitCode.MISSING,
)
TOO_FEW_RUNS = ErrorRow(
    "too-few-runs",
    "there are too few runs of {candidate} for a baseline",
    "a baseline needs {needed} timed processes, not {timed}",
    "on the device, run python3 -m runner measure ../.. --rounds {rounds} --out NEW_FOLDER; for a build of this machine, "
    "rerun the build command with --set race.rounds={rounds}",
    exit_code=ExitCode.MISSING,
)
LATENCY_BASELINE_UNREADABLE = ErrorRow(
    "latency-baseline-unreadable", "{path} cannot be read as a latency baseline", "{because}", "{hint}"
)
DEVICES_DIFFER = ErrorRow(
    "devices-differ",
    "HEAD was built for {head} and BASE for {base}",
    "each kit is made for one device, so a latency ratio on one machine says nothing about either device",
    "choose two builds for one device; edgecnn compare HEAD BASE shows builds for different devices side by side",
)
BASELINE_ELSEWHERE = ErrorRow(
    "baseline-elsewhere",
    "the baseline was measured under other conditions",
    "{changes:joined}",
    "record a new baseline, race both builds here with --against, or accept the differences with {allowed}",
)
UNKNOWN_CONDITION = ErrorRow(
    "unknown-condition", "{name!r} is not a condition of --allow-different", fix="{guess}the known conditions are {known:commas}"
)
NOT_SO_MANY_BUILDS = ErrorRow(
    "not-so-many-builds",
    "compare takes 2 to {most} builds, not {given}",
    fix="pass builds/A builds/B; to see one build over time, run edgecnn study history BUILD",
)
BUILD_NAMED_TWICE = ErrorRow(
    "build-named-twice",
    "{folder} was named twice",
    "a build does not differ from itself",
    "to see how much two races of one build differ, run edgecnn judge BUILD --against BUILD",
)
UNKNOWN_CANDIDATE = ErrorRow(
    "unknown-candidate", "{folder} has no candidate {candidate!r}", "its candidates are {known:listed}", "{hint}"
)
NO_BUILD_TO_JUDGE = ErrorRow(
    "no-build-to-judge",
    "{folder} is not a finished build",
    "{because}",
    "{hint}",
    kind=NoBuildToJudge,
)
FOLDER_OR_PIPELINE = ErrorRow(
    "folder-or-pipeline",
    "{name} is both a shipped pipeline and a finished build here",
    fix="to judge the build, run edgecnn judge {path:word}; to judge the pipeline, run the command in another folder",
)
OPTIONS_NOT_WITH_BUILD = ErrorRow(
    "options-not-with-build",
    "{options:commas} cannot be used to judge {folder}",
    "a finished build is judged as it was built",
    "run edgecnn judge {folder:word} [--max METRIC=NUMBER], or run edgecnn build with these options first",
)
PLAN_OF_ANOTHER_BUILD = ErrorRow(
    "plan-of-another-build",
    "{folder}/plan.json and {folder}/report.json belong to different builds",
    "the two files have different keys for {differs}, because a later command in this folder did not finish",
    "{command}",
)
BUILD_DAMAGED = ErrorRow("build-damaged", "{path} was changed after the build", "{because}", "{command}")
PIN = "edgecnn baseline pin BUILD --out FILE writes one"
PIN_UNREADABLE = ErrorRow("pin-unreadable", "{where} cannot be read as the record of a pinned build", "{because}", "{hint}")
PINNED_KIT_MISSING = ErrorRow(
    "pinned-kit-missing",
    "the kit {kit}…, pinned by {where}, is not on this machine",
    "{because}{others}",
    "{command}",
    exit_code=ExitCode.MISSING,
)
REVISION_MISSPELT = ErrorRow(
    "revision-misspelt",
    "--against {text} is not a record at a revision",
    "{because}",
    "write git:REVISION:PATH, such as git:origin/main:gates/base.json; for a folder of that name, write ./git:…",
)
GIT_FAILED = ErrorRow("git-failed", "{text} cannot be read", "{because}", "{hint}")


def no_build_to_judge(folder: Path, because: str, near: Sequence[Path]) -> EdgecnnError:
    """``near``: finished builds whose names are the nearest, the nearest first."""
    other = "a recipe file, or a shipped pipeline"
    return NO_BUILD_TO_JUDGE(folder=folder, because=because, hint=f"{builds_to_pass(near)}, {other}")


def no_base_to_compare(folder: Path, near: Sequence[Path]) -> EdgecnnError:
    """``near``: see ``no_build_to_judge``."""
    hint = f"{builds_to_pass(near)}, its bundle, or the file or git:REVISION:PATH of a record"
    return NO_BASE_TO_COMPARE(folder=folder, hint=hint)


def no_build_to_compare(folder: Path, because: str, near: Sequence[Path]) -> EdgecnnError:
    """``near``: see ``no_build_to_judge``."""
    return NO_BUILD_TO_COMPARE(folder=folder, because=because, hint=f"{builds_to_pass(near)}, or its bundle")


def bundle_unreadable(path: Path, because: str, hint: str | None = None) -> EdgecnnError:
    return BUNDLE_UNREADABLE(path=path, because=because, hint=hint or "rerun the build command to write it again")


def kit_not_carried(
    folder: Path, candidate: str | None, carried: Sequence[str], here: Sequence[str] | None = None
) -> EdgecnnError:
    """``here``: the kits in the bundle that run here, if the named kit must run here; otherwise None."""
    what = f"{folder} has no kit of {candidate}" if candidate else f"no candidate was chosen in {folder}"
    kits = f"its {plural(len(carried), 'only kit is', 'kits are')} {listed(carried)}" if carried else "it contains no kit"
    near = nearest(candidate or "", carried if here is None else here)
    missed = "build again with gates that a candidate can meet; the report shows by how much each candidate missed them"
    hint = f"did you mean {near}?" if near else "choose one of these kits" if candidate and carried else missed
    if here is not None and carried and not near:
        hint = (
            f"choose --candidate {shell_word(here[0])}, which runs here"
            if here
            else "no kit of this bundle runs here; build again for this machine"
        )
    return KIT_NOT_CARRIED(what=what, kits=kits, hint=hint, carried=tuple(carried))


def latency_baseline_unreadable(
    path: Path, because: str, hint: str = "edgecnn baseline record BUILD --out FILE writes one"
) -> EdgecnnError:
    return LATENCY_BASELINE_UNREADABLE(path=path, because=because, hint=hint)


def baseline_elsewhere(differing: Sequence[tuple[str, str, str]]) -> EdgecnnError:
    """``differing``: conditions, each with its earlier and its current value."""
    return BASELINE_ELSEWHERE(
        changes=[f"{name} was {then} then and is {now} now" for name, then, now in differing],
        allowed=" ".join(f"--allow-different {name}" for name, _, _ in differing),
    )


def unknown_condition(name: str, known: Sequence[str]) -> EdgecnnError:
    return UNKNOWN_CONDITION(name=name, known=known, guess=did_you_mean(name, known, cutoff=0.4))


def unknown_candidate(folder: Path, candidate: str, known: Sequence[str]) -> EdgecnnError:
    near = nearest(candidate, known)
    hint = f"did you mean {near}?" if near else "choose one of these candidates"
    return UNKNOWN_CANDIDATE(folder=folder, candidate=candidate, known=known, hint=hint)


def folder_or_pipeline(name: str) -> EdgecnnError:
    return FOLDER_OR_PIPELINE(name=name, path=f"./{name}")


def pin_unreadable(where: str, because: str, hint: str = PIN) -> EdgecnnError:
    return PIN_UNREADABLE(where=where, because=because, hint=hint)


def pinned_kit_missing(where: str, kit: str, because: str, command: str, tools: Sequence[str]) -> EdgecnnError:
    """``tools``: the packages that the kit was built with."""
    others = f"; it was built with {', '.join(tools)}" if tools else ""
    return PINNED_KIT_MISSING(where=where, kit=kit[:12], because=because, others=others, command=command)
