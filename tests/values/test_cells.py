"""A guarded cell is no formula for a spreadsheet, and reads back as it was."""

from __future__ import annotations

import pytest

from edgecnn.values.cells import guarded_cell, plain_cell


@pytest.mark.parametrize("text", ["=1+1", "+x", "-x", "@x", " =1", "\tx", "'=1", "''=1", "\uff1d1"])
def test_a_formula_is_guarded(text: str) -> None:
    assert guarded_cell(text) == f"'{text}"
    assert plain_cell(guarded_cell(text)) == text


@pytest.mark.parametrize("text", ["", "cat", "-1.5", "+2e3", "'tis", "a=b", "it's"])
def test_another_text_stays(text: str) -> None:
    assert guarded_cell(text) == plain_cell(text) == text
