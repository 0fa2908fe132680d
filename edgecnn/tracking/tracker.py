"""The table of experiment trackers: the schemes of ``--track`` and what opens each."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.sweeps import TRACKER_MISREAD
from edgecnn.errors.wording import listed
from edgecnn.tracking.run import TrackedRun

MLFLOW: Final = "mlflow"
MLFLOW_FIGURES: Final = "mlflow-figures"
"""The same address for runs without paths, commands and files: see ``figures_only``."""


class Sent(NamedTuple):
    """What became of a run."""

    where: str
    experiment: str
    anew: bool
    """False: it was there already, with the same figures."""


class Tracker(Protocol):
    """One server or store, as ``--track`` names it."""

    @property
    def shown(self) -> str:
        """The address without a password."""

    def ask(self) -> None:
        """Check that the tracker answers, within seconds. Raises TrackerUnreachable."""

    def send(self, run: TrackedRun, files: Sequence[Path] = (), experiment: str = "") -> Sent:
        """Write a run, unless one of the same report is there. ``experiment``: the name of a sweep. Raises TrackerUnreachable."""


class TrackerKind(NamedTuple):
    """A kind of tracker. To add one, write its module next to this one and its row in ``TRACKERS``."""

    name: str
    schemes: tuple[str, ...]
    takes: str
    """What stands after ``--track``, for the error about an address that names no tracker."""
    open: Callable[[str], Tracker]
    """Raises TRACKER_MISREAD, TRACKER_REFUSED, MissingPackage."""


def _mlflow(text: str) -> Tracker:
    from edgecnn.tracking.mlflow import MlflowTracker

    return MlflowTracker(text)


TRACKERS: Final = (
    TrackerKind(
        MLFLOW, (MLFLOW, MLFLOW_FIGURES),
        "mlflow: and MLflow's tracking URI, such as mlflow:http://HOST:5000 or mlflow:sqlite:///mlflow.db; "
        "mlflow-figures: sends no paths and no files", _mlflow,
    ),
)  # fmt: skip


def open_tracker(text: str) -> Tracker:
    """Open the tracker that ``--track`` names.

    Raises TRACKER_MISREAD: no tracker has this scheme, or the address is none of its own. TRACKER_REFUSED, MissingPackage.
    """
    for kind in TRACKERS:
        if text.partition(":")[0] in kind.schemes:
            return kind.open(text)
    names = [kind.name for kind in TRACKERS]
    known = f"{names[0]} is the one tracker that is known" if len(names) == 1 else f"the known trackers are {listed(names)}"
    raise misread(text, known)


def misread(text: str, because: str) -> EdgecnnError:
    """The error about an address that names no tracker, with what each tracker takes."""
    return TRACKER_MISREAD(text=hide_user(text), because=because, takes="; ".join(kind.takes for kind in TRACKERS))


def hide_user(text: str) -> str:
    """An address, even a mistyped one, without what stands before its last @."""
    return re.sub(r"^([\w-]*:)?([\w+.-]*://)?.*@", r"\1\2…@", text)
