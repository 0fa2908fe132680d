"""Ask what is installed without importing it: a missing package is said before any time is spent."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from edgecnn.errors.packages import MissingPackage


def installed_version(distribution: str) -> str | None:
    """The version of a distribution, or None where it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def require_packages(distributions: Iterable[str], *, extra: str, needed_for: str) -> None:
    """Check that every distribution is installed.

    Raises:
        MissingPackage: for the first one that is not, with the pip line of ``extra``.
    """
    for distribution in distributions:
        if installed_version(distribution) is None:
            raise MissingPackage(distribution=distribution, extra=extra, needed_for=needed_for)
