"""Whatever a class, a path or a command is called: it is shown as it is, and runs nowhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from edgecnn.errors.base import visible
from edgecnn.render.page.document import inert_json, inert_script
from edgecnn.render.page.style import digest_source
from tests.render.page.pages import HOSTILE
from tests.render.page.reading import charts_of, read

LOUD = "window.broken"
"""In every hostile name that would do something."""


@pytest.mark.parametrize("harm", HOSTILE)
def test_json_in_a_script_element_holds_nothing_that_html_or_javascript_would_act_on(harm: str) -> None:
    text = str(inert_json({harm: harm}))
    assert json.loads(text) == {harm: harm}
    assert not set(text) & set("<>&\u2028\u2029")
    assert text.isascii()


def test_no_json_has_a_nan() -> None:
    with pytest.raises(ValueError, match="Out of range float values"):
        inert_json([float("nan")])


@pytest.mark.parametrize("program", ["x='</script>'", "x='</SCRIPT >'", "x='<!--'", "x=1\r\n", "x='\0'"])
def test_a_program_that_would_end_its_element_or_be_exchanged_by_a_parser_is_refused(program: str) -> None:
    with pytest.raises(ValueError, match="cannot stand inside a script element"):
        inert_script(program)


def test_the_policy_names_a_script_by_its_digest() -> None:
    assert digest_source("alert(1)") == "'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='"


def test_hostile_names_make_no_element_and_no_handler(hostile: str, page: str) -> None:
    document, plain = read(hostile), read(page)
    assert {each.tag for each in document.all()} - {each.tag for each in plain.all()} <= {"strong"}, "of a provisional choice"
    assert not [each for each in document.all() if any(name.startswith("on") for name in each.attributes)]
    assert len(document.all("script")) == len(plain.all("script"))
    assert all(each.attributes["src"].startswith("data:image/jpeg;base64,") for each in document.all("img"))
    assert not [each for each in document.all() if LOUD in each.attributes.get("style", "") + each.attributes.get("class", "")]


def test_hostile_names_are_shown_as_they_are(hostile: str) -> None:
    document = read(hostile)
    for place in ("why", "candidates", "mistakes", "notices", "again"):
        assert all(" ".join(visible(harm).split()) in document.by_id(place).words for harm in HOSTILE), place
    assert document.first("h1").words == " ".join(f"{HOSTILE[0]} on {HOSTILE[1]}".split())
    assert "49" not in document.by_id("again").words


def test_hostile_names_reach_the_charts_as_data_and_never_as_an_expression(hostile: str) -> None:
    charts = charts_of(read(hostile))
    assert LOUD in json.dumps(charts)
    assert [said for chart in charts.values() for said in expressions(chart) if LOUD in said or "7*7" in said] == []


def expressions(part: Any) -> Iterator[str]:
    """Everything in a Vega specification that Vega makes a function of."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "values":
                continue
            if name in ("signal", "expr", "update", "init", "test", "filter") and isinstance(value, str):
                yield value
            yield from expressions(value)
    elif isinstance(part, list):
        for each in part:
            yield from expressions(each)
