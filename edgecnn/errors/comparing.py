"""Failures of holding one finished build against another, or against a recorded baseline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.wording import counted, did_you_mean, nearest, shell_word


class NoBuildToCompare(EdgecnnError):
    """Raised when a folder that was named is neither a finished build nor a bundle."""

    def __init__(self, *, folder: Path, record: bool = False) -> None:
        super().__init__(
            what=f"{folder} is neither a finished build nor a bundle" + (", nor the record of a pinned one" if record else ""),
            because="nothing of this name is there" if record else "there is no choice.json in it, nor in its bundle/",
            hint="name the folder of a finished build, such as builds/ARCH-DEVICE, or its bundle"
            + (", or a record: its file, or git:REVISION:PATH" if record else ""),
        )


class BundleUnreadable(EdgecnnError):
    """Raised when a file of a bundle, or the plan beside it, is truncated, was edited, or is of a later version."""

    def __init__(self, *, path: Path, because: str, hint: str | None = None) -> None:
        again = "the same build command writes it again"
        super().__init__(what=f"{path} cannot be read", because=because, hint=hint or again)


class KitNotCarried(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when the kit that is to be raced is not in the bundle: nothing was chosen, or another candidate was asked for."""

    def __init__(self, *, folder: Path, candidate: str | None, carried: Sequence[str], here: Sequence[str] | None = None) -> None:
        """``here``: the carried kits that run here, where the one that was asked for would have to; None: it would not."""
        self.carried = tuple(carried)
        what = f"{folder} carries no kit of {candidate}" if candidate else f"{folder}: no candidate was chosen"
        near = nearest(candidate or "", carried if here is None else here)
        missed = "build again with gates that a candidate can meet: its report says by how much each missed them"
        hint = f"did you mean {near}?" if near else "name one of these" if candidate and carried else missed
        if here is not None and carried and not near:
            hint = f"--candidate {shell_word(here[0])} runs here" if here else "none of them runs here"
        super().__init__(what=what, because=f"it carries {', '.join(carried) or 'nothing'}", hint=hint)


class OptionsNotWithAgainst(EdgecnnError):
    """Raised when a comparison is given what says how to build: both builds are finished."""

    def __init__(self, *, options: Sequence[str]) -> None:
        super().__init__(
            what=f"--against takes no {', '.join(options)}",
            because="it races two finished builds as they are",
            hint="edgecnn judge HEAD --against BASE [--max METRIC=NUMBER]",
        )


class RoundsWithoutAgainst(EdgecnnError):
    """Raised when rounds are asked of a build by itself, whose recipe says how it is raced."""

    def __init__(self, *, rounds: int) -> None:
        super().__init__(
            what="--rounds applies to a comparison, and --against names no other build",
            hint=f"for a build by itself: build again with --set race.rounds={rounds}",
        )


class RoundsWithRuns(EdgecnnError):
    """Raised when rounds are asked of runs that were made already, on the device."""

    def __init__(self, *, rounds: int) -> None:
        super().__init__(
            what="--rounds applies to a race here, and --runs supplies the runs of a device",
            hint=f"on the device, in the kit's folder: python3 -m runner measure ../.. --rounds {rounds}",
        )


class NoRecordedRace(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when a baseline is to be recorded of a build whose runs are not in the store."""

    def __init__(self, *, candidate: str, because: str, hint: str | None) -> None:
        super().__init__(what=f"there are no runs of {candidate} to record", because=because, hint=hint)


class LatencyBaselineUnreadable(EdgecnnError):
    """Raised when a file is no latency baseline, is truncated, or was edited since it was written."""

    def __init__(self, *, path: Path, because: str, hint: str = "edgecnn baseline record BUILD --out FILE writes one") -> None:
        super().__init__(what=f"{path} cannot be read as a latency baseline", because=because, hint=hint)


class BaselineElsewhere(EdgecnnError):
    """Raised when present runs were made under other conditions than the baseline's, so that nothing would be shown."""

    def __init__(self, *, differing: Sequence[tuple[str, str, str]]) -> None:
        said = "; ".join(f"{name}: then {then}, now {now}" for name, then, now in differing)
        allowed = " ".join(f"--allow-different {name}" for name, _, _ in differing)
        super().__init__(
            what="the baseline is of a machine in another state",
            because=said,
            hint=f"record a new baseline, race both builds here with --against, or say that it does not matter: {allowed}",
        )


class UnknownCondition(EdgecnnError):
    """Raised when a difference is allowed in a condition that nobody records."""

    def __init__(self, *, name: str, known: Sequence[str]) -> None:
        guess = did_you_mean(name, known, cutoff=0.4)
        super().__init__(what=f"--allow-different: no condition is called {name!r}", hint=f"{guess}known: {', '.join(known)}")


class NotSoManyBuilds(EdgecnnError):
    """Raised when one build is to be compared with nothing, or more than can be told apart."""

    def __init__(self, *, given: int, most: int) -> None:
        super().__init__(
            what=f"compare takes 2 to {most} builds, and {counted(given, 'was', 'were')} named",
            hint="edgecnn compare builds/A builds/B; for one build over time: edgecnn study history BUILD",
        )


class BuildNamedTwice(EdgecnnError):
    """Raised when one folder is to be compared with itself."""

    def __init__(self, *, folder: Path) -> None:
        super().__init__(
            what=f"{folder} was named twice",
            because="a build differs in nothing from itself",
            hint="for how much two races of it differ: edgecnn judge BUILD --against BUILD",
        )


class UnknownCandidate(EdgecnnError):
    """Raised when a candidate is asked about that a build neither made nor refused."""

    def __init__(self, *, folder: Path, candidate: str, known: Sequence[str]) -> None:
        near = nearest(candidate, known)
        super().__init__(
            what=f"{folder} says nothing of a candidate {candidate!r}",
            because=f"it speaks of {', '.join(known)}",
            hint=f"did you mean {near}?" if near else "name one of these",
        )


class NoBuildToJudge(EdgecnnError):
    """Raised when what is to be judged is neither a recipe nor the folder of a finished build."""

    def __init__(self, *, folder: Path, because: str) -> None:
        super().__init__(
            what=f"{folder} is no finished build",
            because=because,
            hint="name the folder of a finished build, such as builds/ARCH-DEVICE, a recipe file, or a shipped pipeline",
        )


class FolderOrPipeline(EdgecnnError):
    """Raised when one word is both a shipped pipeline and the folder of a finished build here."""

    def __init__(self, *, name: str) -> None:
        super().__init__(
            what=f"{name} is both a shipped pipeline and the folder of a finished build here",
            hint=f"edgecnn judge {shell_word(f'./{name}')} judges the folder; the pipeline is judged from another folder",
        )


class OptionsNotWithBuild(EdgecnnError):
    """Raised when a finished build is to be judged, and told how it should be built."""

    def __init__(self, *, folder: Path, options: Sequence[str]) -> None:
        super().__init__(
            what=f"judging {folder} takes no {', '.join(options)}",
            because="it is a finished build, which is judged as it was built",
            hint=f"edgecnn judge {shell_word(folder)} [--max METRIC=NUMBER], or edgecnn build with these options first",
        )


class PlanOfAnotherBuild(EdgecnnError):
    """Raised when a later call in the same folder renewed the plan and did not finish, so that plan and report part."""

    def __init__(self, *, folder: Path, differs: str, command: str) -> None:
        super().__init__(
            what=f"{folder / 'plan.json'} is of another build than {folder / 'report.json'}",
            because=f"{differs} has another key: a later call in this folder did not come to its end",
            hint=command,
        )


class BuildDamaged(EdgecnnError, exit_code=ExitCode.BAD_INPUT):
    """Raised when a file of the kit that ships was changed after the build, so that its figures would be another's."""

    def __init__(self, *, path: Path, because: str, command: str) -> None:
        super().__init__(what=f"{path} is not what was built", because=because, hint=command)


PIN = "edgecnn baseline pin BUILD --out FILE writes one"


class PinUnreadable(EdgecnnError):
    """Raised when a file is no record of a pinned build, is truncated, or was edited since it was written."""

    def __init__(self, *, where: str, because: str, hint: str = PIN) -> None:
        super().__init__(what=f"{where} cannot be read as the record of a pinned build", because=because, hint=hint)


class PinnedKitMissing(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when the store does not hold the kit that a record pins, unharmed."""

    def __init__(self, *, where: str, kit: str, because: str, command: str, tools: Sequence[str]) -> None:
        others = f"; it was built with {', '.join(tools)}" if tools else ""
        super().__init__(what=f"the kit {kit[:12]}… that {where} pins is not here", because=f"{because}{others}", hint=command)


class RevisionMisspelt(EdgecnnError):
    """Raised when ``git:`` is not followed by a revision and a path."""

    def __init__(self, *, text: str, because: str) -> None:
        super().__init__(
            what=f"--against {text} names no record at a revision",
            because=because,
            hint="write git:REVISION:PATH, such as git:origin/main:gates/base.json; a folder of that name is ./git:…",
        )


class GitFailed(EdgecnnError):
    """Raised when git cannot give a file as it stood at a revision."""

    def __init__(self, *, text: str, because: str, hint: str | None) -> None:
        super().__init__(what=f"{text} cannot be read", because=because, hint=hint)
