"""Failures of latency tables and of `edgecnn fit`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.wording import counted, listed, shell_word


class NothingTimed(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when not one network of a latency table could be made and run."""

    def __init__(self, *, device: str, reasons: Mapping[str, str], hint: str = "--minutes gives more time") -> None:
        first = [f"{name}: {why}" for name, why in list(reasons.items())[:3]]
        super().__init__(
            what=f"no network could be timed on {device}",
            because="; ".join(first) or "there was no time for any",
            hint=f"`edgecnn doctor` says what does not work here; {hint}",
        )


class TableUnreadable(EdgecnnError):
    """Raised when a file is no latency table, or one of another schema."""

    def __init__(self, *, path: Path, problems: Sequence[str]) -> None:
        super().__init__(
            what=f"{path} is no latency table, with {counted(len(problems), 'problem')}",
            because="; ".join(problems[:3]),
            hint="`edgecnn devices measure NAME --out FILE` writes one; docs/schemas/latency-table.json lists every key",
        )


class TableUnwritable(EdgecnnError):
    """Raised before anything is measured when the table could not be written."""

    def __init__(self, *, path: Path, because: str) -> None:
        super().__init__(what=f"{path} cannot hold the table", because=because, hint="choose another file with --out FILE")


class TableOfAnother(EdgecnnError):
    """Raised when a table was measured on another machine, in another state of it, or with another runtime."""

    def __init__(self, *, path: Path, difference: str, device: str) -> None:
        super().__init__(
            what=f"the latency table {path} says nothing of what is searched for",
            because=difference,
            hint=_measures(device),
        )


class TableNeedsFile(EdgecnnError):
    """Raised when another machine's table would take the place of this one's, under a name that is any machine's."""

    def __init__(self, *, device: str) -> None:
        super().__init__(
            what=f"{device} is whichever machine is asked, and its table is this machine's",
            hint="--out FILE keeps that of another one; or name a device of its own, which `edgecnn devices add` writes",
        )


class TableElsewhere(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when a device is to be measured and the machine at hand is another one."""

    def __init__(self, *, device: str, why: str) -> None:
        super().__init__(
            what=f"{device} is not at hand to be measured",
            because=why,
            hint=_measures(device),
        )


class FitBudgetInvalid(EdgecnnError):
    """Raised when a budget of a search names no metric, or no number that it has."""

    def __init__(self, *, text: str, because: str) -> None:
        super().__init__(
            what=f"{text!r} is no budget of a search",
            because=because,
            hint="--within p50_ms=5, and once more each for energy_mj, peak_memory_mib and size_mib; --accuracy top1=0.85",
        )


class NothingToMeet(EdgecnnError):
    """Raised when a search is asked for neither a budget nor an accuracy."""

    def __init__(self) -> None:
        super().__init__(
            what="nothing says what the network has to meet",
            because="neither --within nor --accuracy is given, and the recipe's [fit] states none",
            hint="--within p50_ms=5, or the other way round --accuracy top1=0.85",
        )


class NotInASearch(EdgecnnError):
    """Raised when a recipe states what a search decides itself, or has no use for."""

    def __init__(self, *, asked: str, because: str, hint: str) -> None:
        super().__init__(what=f"{asked} does not go with `edgecnn fit`", because=because, hint=hint)


class FamilyMissing(EdgecnnError):
    """Raised when a search is asked of no family."""

    def __init__(self, *, families: Sequence[str]) -> None:
        super().__init__(
            what="no family says what is searched",
            because="neither --family nor the recipe's fit.family names one",
            hint=f"--family with one of {', '.join(families)}",
        )


class NothingPredictedInside(EdgecnnError, exit_code=ExitCode.GATE_FAILED):
    """Raised before anything is trained when every network that was looked at is outside the budgets."""

    def __init__(
        self, *, family: str, budgets: str, nearest: str | None, timed: bool = False, slower: float | None = None
    ) -> None:
        pace = f"; this machine takes {slower:.1f} times as long as when its latency table was measured" if slower else ""
        super().__init__(
            what=f"no network of {family} is {'timed' if timed else 'predicted'} inside {budgets}",
            because=f"the nearest of those searched is {nearest or 'none, since none is small enough'}{pace}",
            hint="allow more, or search another family" + (", or try again when it is as fast as it was" if slower else ""),
        )


class UnlikeTable(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when nothing is known of any network that was looked at: the table has none like them."""

    def __init__(self, *, family: str, table: str, features: Sequence[str], device: str) -> None:
        super().__init__(
            what=f"every network of {family} that was looked at is unlike those of the latency table {table}",
            because=f"the table has nothing like them in {listed(features)}",
            hint=f"`edgecnn devices measure {shell_word(device)}` goes on with what is left of its plan; "
            "or search another family",
        )


class NoTable(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when nothing says what networks cost on a device that is not at hand."""

    def __init__(self, *, device: str) -> None:
        super().__init__(
            what=f"there is no latency table of {device}",
            because="it is not at hand, and no table of it was measured before",
            hint=f"{_measures(device)}; or --table FILE, of another board of its kind or of an emulated machine",
        )


class NoTableBeside(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when a device that is asked about beside the one that is searched for was never measured."""

    def __init__(self, *, device: str) -> None:
        super().__init__(
            what=f"there is no latency table of {device}",
            because="it is asked about beside the device that is searched for, and only a table says what networks take there",
            hint=_measures(device),
        )


class TableTooShort(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised when a table holds too few networks of any candidate to predict others from."""

    def __init__(self, *, path: Path, device: str, most: int, needed: int) -> None:
        super().__init__(
            what=f"the latency table {path} holds too few networks",
            because=f"{most} of any one runtime and precision, of which {needed} are needed",
            hint=f"{_measures(device)} --out {shell_word(path)}, which goes on where it was",
        )


def _measures(device: str) -> str:
    """The command that measures a device's table: of this machine, the emulated one, or a board."""
    where = {"cpu": "", "arm64-emulated": " --host emulated"}.get(device, " --host USER@BOARD")
    return f"edgecnn devices measure {shell_word(device)}{where}"
