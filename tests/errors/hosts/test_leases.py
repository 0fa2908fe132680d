from pathlib import Path

import pytest

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.hosts.leases import (
    BoardsInvalid,
    BoardsLostToBuild,
    BoardTaken,
    BoardWithoutAddress,
    CoordinatorRefused,
    CoordinatorUnreachable,
    LabgridAbsent,
    NoBoardLeft,
    NoSuchBoards,
)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            BoardsInvalid(path=Path("boards.toml"), problems=["board.0.host is missing", "2 boards are called lab-1"]),
            "boards boards.toml has 2 problems: board.0.host is missing; 2 boards are called lab-1 — "
            "docs/howto/sweep-at-scale.md shows one, docs/schemas/boards.json has every key [boards-invalid]",
        ),
        (
            NoSuchBoards(where="boards.toml", kind="raspberry-pi-5 with fan", others=["lab-1 (no tags)", "lab-2 (wifi)"]),
            "boards.toml has no board for raspberry-pi-5 with fan: of the device it has lab-1 (no tags), lab-2 (wifi) — take the "
            "tag out of [tags], or give it to a board [no-such-boards]",
        ),
        (
            NoSuchBoards(where="labgrid://lab", kind="jetson-orin-nano with lab=2", others=[]),
            "labgrid://lab has no board for jetson-orin-nano with lab=2: it has none of the device — take the tag out of [tags], "
            "or give it to a board [no-such-boards]",
        ),
        (
            LabgridAbsent(where="labgrid://lab"),
            "labgrid://lab needs the package labgrid, which is not installed here — "
            'pip install "edgecnn[labgrid]" [labgrid-absent]',
        ),
        (
            CoordinatorUnreachable(where="labgrid://lab:20408", said="could not connect to coordinator"),
            "labgrid://lab:20408: no coordinator answers: could not connect to coordinator — labgrid-client -x lab:20408 places "
            "shows whether it runs; then the same command goes on [coordinator-unreachable]",
        ),
        (
            CoordinatorRefused(where="labgrid://lab", said="Value a/b is invalid"),
            "labgrid://lab refused: Value a/b is invalid [coordinator-refused]",
        ),
        (
            BoardWithoutAddress(board="lab-1"),
            "lab-1: it has no NetworkService: no exporter has one for this place — start its exporter [board-without-address]",
        ),
        (
            BoardTaken(board="lab-1", because="desk/bob acquired it"),
            "lab-1 was taken from under its lease: desk/bob acquired it [board-taken]",
        ),
        (
            NoBoardLeft(kind="raspberry-pi-5", reasons={"lab-1": "pi@a: no link: timed out", "lab-2": "lab-2 was taken"}),
            "no board is left for raspberry-pi-5: lab-1: pi@a: no link: timed out; lab-2: lab-2 was taken — mend one of them, "
            "and the same command goes on [no-board-left]",
        ),
        (
            BoardsLostToBuild(build="lenet-5-cpu", reasons={"lab-1": "pi@a: no link: timed out", "lab-2": "pi@b: no link"}),
            "lenet-5-cpu lost 2 boards in a row and is given no other: lab-1: pi@a: no link: timed out; lab-2: pi@b: no link — "
            "its log has the command, to be run by hand on one of them; the same sweep tries it again [boards-lost-to-build]",
        ),
    ],
)
def test_the_whole_line(error: EdgecnnError, line: str) -> None:
    assert error.line() == line


def test_what_a_file_says_wrongly_is_bad_input_and_a_lab_that_is_not_there_is_missing() -> None:
    assert NoSuchBoards(where="a", kind="b", others=[]).exit_code is ExitCode.BAD_INPUT
    assert CoordinatorUnreachable(where="a", said="b").exit_code is ExitCode.MISSING
    assert NoBoardLeft(kind="a", reasons={}).exit_code is ExitCode.MISSING
