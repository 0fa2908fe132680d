"""Words that many sentences need are right for none, one and many."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from pydantic import BaseModel, ValidationError

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.wording import (
    and_more,
    counted,
    did_you_mean,
    fill_template,
    first_problem,
    listed,
    nearest,
    no_unicode,
    plural,
    reason_in,
    shortened,
)


@pytest.mark.parametrize(("count", "said"), [(0, "0 images"), (1, "1 image"), (2, "2 images"), (1200, "1,200 images")])
def test_a_count_agrees_with_its_noun(count: int, said: str) -> None:
    assert counted(count, "image") == said


def test_a_long_message_keeps_its_reason_at_either_end() -> None:
    assert reason_in(ValueError("one\n  two")) == "one two" and reason_in(ValueError()) == "ValueError" and reason_in("") == ""
    long = reason_in(ValueError(f"the runtime failed: {'node ' * 100_000}: channels differ"))
    assert long.startswith("the runtime failed: node ") and long.endswith(" node : channels differ") and len(long) == 903


def test_a_plural_without_an_s_is_named() -> None:
    assert [plural(count, "class", "classes") for count in (0, 1, 2)] == ["classes", "class", "classes"]


def test_a_list_ends_with_and() -> None:
    assert [listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == ["a", "a and b", "a, b and c"]


def test_only_what_is_not_shown_is_counted() -> None:
    assert [and_more(5, 5), and_more(6, 5), and_more(2005, 5)] == ["", " and 1 more", " and 2,000 more"]


def test_a_mistyped_name_finds_its_neighbour_and_a_strange_one_none() -> None:
    assert nearest("judgee", ["build", "judge"]) == "judge"
    assert nearest("xyz", ["build", "judge"]) is None
    assert did_you_mean("judgee", ["build", "judge"]) == "did you mean judge? "
    assert did_you_mean("xyz", ["build", "judge"]) == ""


def test_a_place_in_a_runtimes_source_is_left_out() -> None:
    place = "/onnxruntime_src/core/reshape_helper.h:91 onnxruntime::Reshape(const onnxruntime::Shape&, bool) "
    assert reason_in(ValueError(f"Status Message: {place}Input shape:{{3,3}}\n")) == "Status Message: Input shape:{3,3}"
    reason = reason_in(ValueError("Load model failed: " + "x" * 1000 + " opset 26 is under development"))
    assert reason.startswith("Load model failed: xxx") and reason.endswith("xx opset 26 is under development")


def test_the_first_problem_says_where_it_lies() -> None:
    class Inner(BaseModel):
        number: int

    class Outer(BaseModel):
        inner: Inner

    with pytest.raises(ValidationError) as caught:
        Outer.model_validate({"inner": {"number": "x"}})
    assert first_problem(caught.value).startswith("inner.number: ")
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate_json("{")
    assert first_problem(caught.value).startswith("Invalid JSON")


def test_a_name_that_only_the_locale_cannot_read_is_not_called_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert no_unicode("caf\udce9") == "is not valid UTF-8"
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "ascii")
    assert no_unicode("caf\udcc3\udca9") == "cannot be read in this locale (ascii): set PYTHONUTF8=1"


def test_a_long_value_is_quoted_by_its_beginning_and_its_length() -> None:
    assert shortened("a" * 100) == "a" * 100
    assert shortened("a" * 1101, 100) == "a" * 100 + "… (1,001 more)"


class NotFinished(EdgecnnError):
    """One of no subject."""


def test_no_error_prints_more_than_a_beginning_of_a_user_s_data() -> None:
    error = NotFinished(what="a" * 300_000_000, because="b" * 100_000, hint="c" * 100_000)
    assert len(error.line()) < 31_000
    assert all(len(text or "") < 11_000 for text in error.facts().values())


@pytest.mark.parametrize(
    ("template", "value", "text"),
    [
        ("{x:counted image}", np.int64(2), "2 images"),
        ("{x:counted image}", ["a"], "1 image"),
        ("{x:listed} fail", [], "none fail"),
        ("{x:subject tensor} damaged", [], "no tensor is damaged"),
    ],
)
def test_an_odd_value_never_hides_the_error_that_it_is_part_of(template: str, value: object, text: str) -> None:
    assert fill_template(template, {"x": value}) == text
