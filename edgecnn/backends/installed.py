"""Which packages are installed, without importing them, so that a missing one is reported before any work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

from edgecnn.backends.wheels import without_wheel
from edgecnn.errors.weights import missing_package
from edgecnn.errors.wording import plural

VENDORED: Mapping[str, str] = {"onnxruntime-web": "1.30.0"}
"""What no package manager installs: one version, which goes into the kits themselves."""


class Lacking(NamedTuple):
    """Why something cannot be used, and the command that mends it; None where nothing can be installed."""

    why: str
    command: str | None


def installed_version(distribution: str) -> str | None:
    """The version of a distribution, or None where it is not installed."""
    if distribution in VENDORED:
        return VENDORED[distribution]
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def lacking(distributions: Sequence[str], extra: str) -> Lacking | None:
    """Name the distributions that are not installed; None if all are. ``extra``: the extra of edgecnn that installs them."""
    absent = [each for each in distributions if installed_version(each) is None]
    if not absent:
        return None
    no_wheel = next((why for each in absent if (why := without_wheel(each)) is not None), None)
    if no_wheel is not None:
        return Lacking(no_wheel, None)
    why = f"{', '.join(absent)} {plural(len(absent), 'is', 'are')} not installed"
    return Lacking(why, f'pip install "edgecnn[{extra}]"')


def require_packages(distributions: Iterable[str], *, extra: str, needed_for: str) -> None:
    """Check that every distribution is installed.

    Raises MissingPackage: for the first one that is not, with the pip line of ``extra`` where pip can install it.
    """
    for distribution in distributions:
        if (lacks := lacking((distribution,), extra)) is not None:
            raise missing_package(distribution=distribution, needed_for=needed_for, **lacks._asdict())
