"""The drawing of the rooms is that of the imports, and every room says what it is for."""

from __future__ import annotations

from docs.rooms import DRAWING, PAGE, drawing, drawn, imports, page, rooms


def test_the_drawing_is_that_of_the_imports() -> None:
    assert DRAWING.read_text(encoding="utf-8") == drawing(), "python -m docs.generated"


def test_the_table_is_that_of_the_rooms() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m docs.generated"


def test_every_room_says_in_one_line_what_it_is_for() -> None:
    silent = [room.name for room in rooms() if not 20 <= len(room.purpose) <= 140]
    assert silent == [], "the docstring of edgecnn/ROOM/__init__.py says it"


def test_lines_that_are_left_out_are_implied_by_others() -> None:
    every = imports()
    few = drawn(every)

    def reached(name: str) -> set[str]:
        return {far for near in few[name] for far in (near, *reached(near))}

    assert {name: reached(name) >= direct for name, direct in every.items() if not reached(name) >= direct} == {}
    assert sum(map(len, few.values())) < sum(map(len, every.values())) / 2
