"""The table of experiment trackers: the schemes of ``--track``, and the function that opens each."""

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
    """The result of sending a run."""

    where: str
    experiment: str
    anew: bool
    """False: the tracker had it already, with the same figures."""


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
    """The text after ``--track``, for the error about an invalid address."""
    open: Callable[[str], Tracker]
    """Raises TRACKER_MISREAD, TRACKER_REFUSED, MissingPackage."""


def _mlflow(text: str) -> Tracker:
    from edgecnn.tracking.mlflow import MlflowTracker

    return MlflowTracker(text)


TRACKERS: Final = (
    TrackerKind(
        MLFLOW, (MLFLOW, MLFLOW_FIGURES),
        "write mlflow: and MLflow's tracking URI, such as mlflow:http://HOST:5000 or mlflow:sqlite:///mlflow.db; "
        "mlflow-figures: sends neither paths nor files", _mlflow,
    ),
)  # fmt: skip


def open_tracker(text: str) -> Tracker:
    """Open the tracker that ``--track`` names.

    Raises TRACKER_MISREAD: no tracker has this scheme, or the address is invalid. TRACKER_REFUSED, MissingPackage.
    """
    for kind in TRACKERS:
        if text.partition(":")[0] in kind.schemes:
            return kind.open(text)
    names = [kind.name for kind in TRACKERS]
    known = f"the only known tracker is {names[0]}" if len(names) == 1 else f"the known trackers are {listed(names)}"
    raise misread(text, known)


def misread(text: str, because: str) -> EdgecnnError:
    """Make the error about an invalid address, with the form that each tracker takes."""
    return TRACKER_MISREAD(text=hide_user(text), because=because, takes="; ".join(kind.takes for kind in TRACKERS))


def hide_user(text: str) -> str:
    """Replace everything before the last @ of an address, which may be mistyped."""
    return re.sub(r"^([\w-]*:)?([\w+.-]*://)?.*@", r"\1\2…@", text)
