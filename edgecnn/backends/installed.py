"""Ask what is installed without importing it: a missing package is said before any time is spent.

What belongs to a runtime with an environment of its own is asked there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from edgecnn.backends.own_environment import OwnEnvironment, environment_of, own_environment
from edgecnn.errors.devices import RuntimeEnvironmentMissing
from edgecnn.errors.weights import MissingPackage
from edgecnn.errors.wording import plural
from edgecnn.runner.interpreters import asked, own_python


class Lacking(NamedTuple):
    """Why something cannot be used, and the command that mends it."""

    why: str
    command: str


def installed_version(distribution: str) -> str | None:
    """The version of a distribution, or None where it is not installed."""
    environment = environment_of(distribution)
    python = None if environment is None else own_python(environment.runtime)
    if python is not None:
        return asked(python).versions.get(distribution)
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def lacking(distributions: Sequence[str], extra: str) -> Lacking | None:
    """What of these is not installed, as a sentence; None where all are.

    Args:
        distributions: of one backend.
        extra: the backend's, of edgecnn; of one with an environment of its own the runtime's name.
    """
    environment = own_environment(extra)
    if environment is not None:
        why = _why_unusable(environment)
        return None if why is None else Lacking(why, environment.command)
    absent = [each for each in distributions if installed_version(each) is None]
    if not absent:
        return None
    return Lacking(f"{_are(absent)} not installed", f'pip install "edgecnn[{extra}]"')


def require_packages(distributions: Iterable[str], *, extra: str, needed_for: str) -> None:
    """Check that every distribution is installed.

    Raises:
        MissingPackage: for the first one that is not, with the pip line of ``extra``.
        RuntimeEnvironmentMissing: the same of a runtime with an environment of its own.
    """
    wanted = tuple(distributions)
    if own_environment(extra) is not None:
        lacks = lacking(wanted, extra)
        if lacks is not None:
            raise RuntimeEnvironmentMissing(needed_for=needed_for, why=lacks.why, command=lacks.command)
        return
    for distribution in wanted:
        if installed_version(distribution) is None:
            raise MissingPackage(distribution=distribution, extra=extra, needed_for=needed_for)


def _why_unusable(environment: OwnEnvironment) -> str | None:
    """Why a runtime's kits can neither be made nor run here; None where they can."""
    python = own_python(environment.runtime)
    if python is None:
        absent = [each for each in environment.distributions if installed_version(each) is None]
        return f"{_are(absent)} not installed here, and {environment.variable} names no Python" if absent else None
    found = asked(python)
    if found.why is not None:
        return f"{environment.variable} names {python}, which does not answer: {found.why}"
    absent = list(environment.absent(found.versions))
    return f"{_are(absent)} not installed in the environment of {python}" if absent else None


def _are(names: Sequence[str]) -> str:
    return f"{', '.join(names)} {plural(len(names), 'is', 'are')}"
