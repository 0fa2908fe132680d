"""Compare PEP 440 versions without ``packaging``, which a board may lack: releases and pre-releases, without local parts."""

from __future__ import annotations

import re
from typing import Callable, Dict, Optional, Tuple

from .failure import RunnerError

Release = Tuple[Tuple[int, ...], int]
"""The numbers, and 0 for a final release or -1 for a pre-release."""

_VERSION = re.compile(
    r"v?(\d+(?:\.\d+)*)((?:[-_.]?(?:a|b|c|rc|alpha|beta|pre|preview|dev)[-_.]?\d*)*)(?:[-_.]?post\d*)?(?:[+-].*)?"
)
_LEADING = re.compile(r"(\d+(?:\.\d+)*)()")
"""Vendors of boards append suffixes, as in ``8.5.2.nv1``."""
_CLAUSE = re.compile(r"\s*(>=|<=|==|!=|~=|>|<)\s*([^\s,]+?)(\.\*)?\s*")
_LENGTH = 6


def parse_version(text: str) -> Optional[Release]:
    """Return the comparable part of a version; None if it does not begin with a release number."""
    lower = text.strip().lower()
    match = _VERSION.fullmatch(lower) or _LEADING.match(lower)
    if match is None:
        return None
    numbers = tuple(int(part) for part in match.group(1).split("."))
    return (numbers + (0,) * (_LENGTH - len(numbers)), -1 if match.group(2) else 0)


def matches(version: str, wanted: str) -> bool:
    """Whether a version is in a range such as ``>=1.19,<2``. An empty range includes every version.

    As in PEP 440, ``<2`` excludes ``2.0rc1``. Unlike PEP 440, pre-releases need no permission.

    Raises:
        RunnerError: bad-version or bad-version-range, if the version or the range cannot be parsed.
    """
    release = parse_version(version)
    if release is None:
        raise RunnerError("bad-version", "version {!r} does not begin with a release number".format(version))
    return all(_holds(release, clause, wanted) for clause in wanted.split(",") if clause.strip())


def _holds(release: Release, clause: str, wanted: str) -> bool:
    match = _CLAUSE.fullmatch(clause)
    bound = parse_version(match.group(2)) if match else None
    if match is None or bound is None:
        raise RunnerError("bad-version-range", "version range {!r}: cannot parse {!r}".format(wanted, clause.strip()))
    operator = match.group(1)
    length = len(match.group(2).split("."))
    if match.group(3):  # ==1.2.*
        same = release[0][:length] == bound[0][:length]
        return same if operator == "==" else not same
    if operator == "~=":
        return release >= bound and release[0][: length - 1] == bound[0][: length - 1]
    if operator == "<" and release[0] == bound[0]:
        return False  # a pre-release of the bound itself is not below it
    return _COMPARE[operator](release, bound)


_COMPARE: Dict[str, Callable[[Release, Release], bool]] = {
    ">=": lambda release, bound: release >= bound,
    "<=": lambda release, bound: release <= bound,
    "==": lambda release, bound: release == bound,
    "!=": lambda release, bound: release != bound,
    ">": lambda release, bound: release > bound,
    "<": lambda release, bound: release < bound,
}
