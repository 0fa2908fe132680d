from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from edgecnn.runner.messages import RunnerError
from edgecnn.runner.packages import matches

NUMBERS = st.lists(st.integers(0, 12), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
VERSIONS = st.tuples(NUMBERS, st.sampled_from(["", "rc1", "a2", "+cpu"])).map("".join)
CLAUSES = st.tuples(st.sampled_from([">=", "<=", "==", "!=", ">", "<"]), NUMBERS).map("".join)


@given(version=VERSIONS, clauses=st.lists(CLAUSES, min_size=1, max_size=3))
def test_ranges_hold_what_packaging_says_they_hold(version: str, clauses: list[str]) -> None:
    wanted = ",".join(clauses)
    assert matches(version, wanted) == SpecifierSet(wanted).contains(Version(version), prereleases=True)


@pytest.mark.parametrize(
    ("version", "wanted", "holds"),
    [
        ("1.19.2", ">=1.19,<2", True),
        ("2.0.0rc1", "<2", False),
        ("1.20", "==1.20.*", True),
        ("1.21", "==1.20.*", False),
        ("1.4.5", "~=1.4", True),
        ("2.0", "~=1.4", False),
        ("8.5.2.nv1", ">=8.5", True),
        ("2.1.0a0+41361538.nv23.06", ">=2.0", True),
        ("3.11", "", True),
    ],
)
def test_ranges_as_kits_and_boards_write_them(version: str, wanted: str, holds: bool) -> None:
    assert matches(version, wanted) is holds


@pytest.mark.parametrize("wanted", ["latest", ">=x", "=>1"])
def test_a_range_that_cannot_be_understood_is_refused(wanted: str) -> None:
    with pytest.raises(RunnerError, match="cannot parse"):
        matches("1.0", wanted)
