"""A table in any width: every figure whole, every cell there, the important columns first."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from edgecnn.render.columns import columns_of, headings_by_rank, text_rows
from edgecnn.render.terminal import Grid, narrow_lines, show_grid
from edgecnn.values.verdict import Verdict
from tests.judging.made import a_latency, an_interval, facts
from tests.render.reports import a_residency, a_row

SLOW = a_latency(an_interval(123.46, 120.0, 130.0), an_interval(140.0, 135.0, 150.0), an_interval(1.9, 1.88, 1.93))
CANDIDATES = (
    a_row("onnxruntime-fp32", is_baseline=True, latency=SLOW, residency=a_residency(fp32=1.0)),
    a_row("onnxruntime-int8", chosen=True),
    a_row("tensorrt-fp16", verdict=Verdict.UNSURE, residency=a_residency("planned", fp16=0.999)),
    facts("openvino-int8"),
)
COLUMNS = columns_of(CANDIDATES)
HEADINGS = tuple(column.heading for column in COLUMNS)
CELLS = text_rows(CANDIDATES)
GRID = Grid(HEADINGS, [[Text(cell) for cell in row] for row in CELLS], "resnet-18 → cpu", headings_by_rank(COLUMNS))
MUST = ("candidate", "verdict", "top-1 (95 %)", "drop")


def lines_at(width: int, grid: Grid = GRID) -> list[str]:
    out = io.StringIO()
    show_grid(grid, Console(file=out, width=width, highlight=False, emoji=False))
    return out.getvalue().splitlines()


def of_candidate(lines: list[str], name: str) -> list[str]:
    """The line that begins with this candidate, and what is indented beneath it."""
    first = next(place for place, line in enumerate(lines) if line.lstrip("│").startswith(name))
    beneath = lines[first + 1 :]
    end = next((place for place, line in enumerate(beneath) if not line.startswith("    ")), len(beneath))
    return lines[first : first + 1 + end]


@pytest.mark.parametrize("width", [40, 50, 60, 72, 80, 100, 120, 140, 160, 180, 200, 250])
def test_every_figure_of_every_candidate_is_whole_on_one_line_that_fits(width: int) -> None:
    lines = lines_at(width)
    assert max(map(cell_len, lines)) <= width
    for row in CELLS:
        mine = of_candidate(lines, row[0])
        missing = [cell for cell in row if not any(cell in line for line in mine)]
        assert missing == []


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_figure_beneath_its_row_has_its_name(width: int) -> None:
    lines = lines_at(width)
    for name in MUST[2:]:
        cell = CELLS[1][HEADINGS.index(name)]
        line = next(line for line in of_candidate(lines, "onnxruntime-int8") if cell in line)
        assert f"{name}: {cell}" in line or name in lines[1]


def test_at_60_columns_candidate_accuracy_verdict_and_choice_stand_side_by_side_and_the_rest_beneath() -> None:
    lines = lines_at(60)
    assert [heading for heading in HEADINGS if heading in lines[1]] == ["candidate", "top-1 (95 %)", "verdict", "chosen"]
    first, *beneath = of_candidate(lines, "onnxruntime-int8")
    assert all(cell in first for cell in (CELLS[1][0], CELLS[1][1], "PASS", "◀"))
    assert all(line.startswith("    ") for line in beneath)


def test_at_80_columns_the_drop_stands_beside_them_in_the_order_of_the_wide_table() -> None:
    assert lines_at(80)[1].split("  ")[0] == "candidate"
    assert [name for name in HEADINGS if name in lines_at(80)[1]] == [
        "candidate", "top-1 (95 %)", "drop", "verdict", "chosen",
    ]  # fmt: skip


def test_where_a_row_fits_it_stands_on_one_line_with_a_frame() -> None:
    lines = lines_at(200)
    assert lines[1].startswith("┏")
    assert len(lines) == 1 + 3 + len(CELLS) + 1


def test_a_wider_terminal_never_takes_a_column_away() -> None:
    heads = [{name for name in HEADINGS if name in lines_at(width)[1]} for width in range(40, 160, 4)]
    assert all(narrow <= wide for narrow, wide in zip(heads, heads[1:], strict=False))


def test_every_column_of_candidates_is_given_an_importance() -> None:
    assert sorted(headings_by_rank(COLUMNS)) == sorted(HEADINGS)


def test_a_text_that_is_wider_than_a_line_is_wrapped_at_its_words_and_an_endless_word_is_not_lost() -> None:
    path = "/home/somebody/" + "x" * 60
    grid = Grid(("step", "because"), [[Text("train"), Text(f"weights were made again with other bytes: {path}")]])
    lines = [line.rstrip() for line in lines_at(40, grid)]
    assert lines[2:4] == ["train", "    because: weights were made again"]
    assert all(len(line) <= 40 for line in lines)
    assert path in "".join(line.strip() for line in lines)


def test_signs_of_two_cells_keep_the_columns_straight() -> None:
    grid = Grid(("name", "size", "note"), [[Text("写真"), Text("1"), Text("x" * 30)], [Text("abcd"), Text("2"), Text("y" * 30)]])
    lines = [line.plain for line in narrow_lines(grid, 20)]
    assert [line for line in lines if line.endswith(("1", "2"))] == ["写真  1", "abcd  2"]


def test_nothing_stands_beneath_a_row_whose_other_cells_are_empty() -> None:
    grid = Grid(("step", "because"), [[Text("prepare"), Text("")], [Text("train"), Text("x" * 30)]])
    assert [line.plain for line in narrow_lines(grid, 20)][2:4] == ["prepare", "train"]
