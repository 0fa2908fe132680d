from __future__ import annotations

import json
import math
import random
import string
import subprocess
import sys
from decimal import Decimal
from enum import Enum, StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.errors.base import ExitCode
from edgecnn.errors.store import UnstableValue
from edgecnn.values.stage import canonical_json, digest_of

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


class Colour(StrEnum):
    RED = "red"


class Number(Enum):
    ONE = 1


def typed(value: Any) -> Any:
    """A value in which 1, 1.0 and True are told apart, as they are in JSON, and 0.0 from -0.0."""
    if isinstance(value, dict):
        return {name: typed(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [typed(inner) for inner in value]
    return (type(value).__name__, repr(value))


@given(VALUES)
def test_what_was_written_reads_back_the_same_and_has_the_same_key(value: Any) -> None:
    text = canonical_json(value)
    assert text.isascii()
    back = json.loads(text)
    assert typed(back) == typed(value)
    assert canonical_json(back) == text
    assert digest_of(back) == digest_of(value)


@given(VALUES, VALUES)
def test_keys_are_equal_exactly_when_values_are(one: Any, other: Any) -> None:
    assert (digest_of(one) == digest_of(other)) == (typed(one) == typed(other))


@given(st.dictionaries(st.text(), LEAVES, min_size=2), st.randoms(use_true_random=False))
def test_the_order_of_names_does_not_matter(value: dict[str, Any], chance: random.Random) -> None:
    names = list(value)
    chance.shuffle(names)
    assert digest_of({name: value[name] for name in names}) == digest_of(value)


@given(st.lists(LEAVES, min_size=2, unique_by=typed))
def test_the_order_of_items_does(value: list[Any]) -> None:
    assert digest_of(value[::-1]) != digest_of(value)


def test_the_text_is_exactly_this() -> None:
    value = {"b": (1, 2.5, 1e22), "a": {"é": None, "t": True}, "c": Colour.RED, Colour.RED: Number.ONE}
    assert canonical_json(value) == '{"a":{"t":true,"\\u00e9":null},"b":[1,2.5,1e+22],"c":"red","red":1}'
    assert digest_of({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_enums_read_only_mappings_and_tuples_are_what_they_hold() -> None:
    assert digest_of({"a": Colour.RED, "b": (1,)}) == digest_of(MappingProxyType({"a": "red", "b": [1]}))


@pytest.mark.parametrize(
    "value",
    [
        math.nan, math.inf, -math.inf, b"bytes", bytearray(b"x"), {1, 2}, frozenset(), object(), Path("x"), Decimal(1), 1j,
        len, int, (n for n in [1]), np.int64(1), np.zeros(2), {1: "a"}, {None: 1}, memoryview(b"x"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_has_no_stable_bytes_is_refused(value: Any) -> None:
    for wrapped in (value, [value], {"a": value}, {"a": [{"b": value}]}):
        with pytest.raises(UnstableValue):
            canonical_json(wrapped)


def test_the_refusal_names_the_place_and_the_value() -> None:
    with pytest.raises(UnstableValue) as refused:
        digest_of({"settings": {"rates": [0.1, math.nan]}})
    assert refused.value.ref == "unstable-value"
    assert refused.value.exit_code is ExitCode.OWN_FAULT


def payloads(count: int) -> list[Any]:
    """Payloads as stages have them, from a seed, with names in shifting order."""
    chance = random.Random(7)

    def leaf() -> Any:
        return chance.choice(
            [
                None,
                True,
                chance.randint(-(2**70), 2**70),
                chance.uniform(-1e9, 1e9),
                "".join(chance.choices(string.printable, k=9)),
            ]
        )

    made = []
    for number in range(count):
        names = [f"setting_{index}" for index in range(8)]
        chance.shuffle(names)
        made.append({"kind": "train", "number": number, "settings": {name: leaf() for name in names}, "list": [leaf(), leaf()]})
    return made


def test_ten_thousand_keys_are_distinct_and_the_same_in_every_process() -> None:
    keys = [digest_of(value) for value in payloads(10_000)]
    assert len(set(keys)) == 10_000
    assert keys == [digest_of(json.loads(canonical_json(value))) for value in payloads(10_000)]
    script = "from tests.values.test_stage import *; print(digest_of([digest_of(value) for value in payloads(10_000)]))"
    for seed in ("1", "2"):
        ran = subprocess.run(
            [sys.executable, "-c", script],
            cwd=Path(__file__).parents[2],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert ran.stdout.strip() == digest_of(keys)
