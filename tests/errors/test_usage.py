from __future__ import annotations

import pytest

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.usage import (
    BadValue,
    ListBudgetInvalid,
    MissingArgument,
    NoSuchCommand,
    NoSuchOption,
    NotUnderstood,
    PathTooLong,
    PlotOfWhat,
    TargetOfAList,
    UnknownList,
)

LISTS = ("archs", "devices")
CASES = [
    (
        PathTooLong(path="/a/" + "x" * 5000),
        f"the path '/a/{'x' * 96}… (4,905 more) cannot be used: it is longer than the file system allows"
        " — name a shorter path [path-too-long]",
    ),
    (
        NoSuchCommand(command="edgecnn store", name="vrify", known=("list", "verify")),
        "edgecnn store has no command 'vrify' — did you mean verify? all commands: edgecnn store --help [no-such-command]",
    ),
    (
        NoSuchCommand(command="edgecnn", name="a\nb", known=("build",)),
        r"edgecnn has no command 'a\nb' — all commands: edgecnn --help [no-such-command]",
    ),
    (
        NoSuchOption(command="edgecnn list", option="--jsno", near=("--json",)),
        "edgecnn list has no option '--jsno' — did you mean --json? all options: edgecnn list --help [no-such-option]",
    ),
    (
        NoSuchOption(command="edgecnn build", option="--epochs", near=("--help",), key="train.epochs"),
        "edgecnn build has no option '--epochs' — did you mean --set train.epochs=VALUE? all options: edgecnn build --help"
        " [no-such-option]",
    ),
    (
        NoSuchOption(command="edgecnn list", option="-z", near=()),
        "edgecnn list has no option '-z' — all options: edgecnn list --help [no-such-option]",
    ),
    (
        MissingArgument(command="edgecnn list", name="LIST", meaning="one of archs, devices"),
        "edgecnn list needs LIST: one of archs, devices — how it is written: edgecnn list --help [missing-argument]",
    ),
    (
        MissingArgument(command="edgecnn x", name="--y", meaning=None),
        "edgecnn x needs --y — how it is written: edgecnn x --help [missing-argument]",
    ),
    (
        BadValue(command="edgecnn store gc", name="--days", value="x", reason="it is no number"),
        "edgecnn store gc: --days cannot be 'x': it is no number — what it takes: edgecnn store gc --help [bad-value]",
    ),
    (
        BadValue(command="edgecnn x", name="FILE", value=None, reason="it is no file"),
        "edgecnn x: FILE cannot be what it was given: it is no file — what it takes: edgecnn x --help [bad-value]",
    ),
    (
        NotUnderstood(command="edgecnn build", reason="option '--arch' requires an argument"),
        "edgecnn build was not understood: option '--arch' requires an argument"
        " — how it is written: edgecnn build --help [usage]",
    ),
    (
        UnknownList(name="archz", known=LISTS),
        "there is no list 'archz': there are archs, devices"
        " — did you mean archs? what each holds: edgecnn list --help [unknown-list]",
    ),
    (
        ListBudgetInvalid(text="p99=5", because="'p99' is not a figure of this list"),
        "'p99=5' is not a budget of `edgecnn list archs`: 'p99' is not a figure of this list — edgecnn list archs --target "
        "raspberry-pi-5 --within p50_ms=50 --within size_mib=10; or images_per_s=20 [list-budget-invalid]",
    ),
    (
        TargetOfAList(option="--within", because="no device is named with --target"),
        "--within has no meaning here: no device is named with --target — edgecnn list archs --target raspberry-pi-5 "
        "--within p50_ms=50 [target-of-a-list]",
    ),
    (
        PlotOfWhat(what="devices", plotted=True),
        "nothing to draw: --plot draws networks, and the list is of devices — edgecnn list archs --plot FILE.html [plot-of-what]",
    ),
    (
        PlotOfWhat(what="archs", plotted=False),
        "nothing to draw: --build names what --plot is to draw too — edgecnn list archs --plot FILE.html [plot-of-what]",
    ),
    (
        UnknownList(name="", known=LISTS),
        "there is no list '': there are archs, devices — what each holds: edgecnn list --help [unknown-list]",
    ),
]


@pytest.mark.parametrize(("error", "line"), CASES, ids=lambda value: getattr(value, "ref", ""))
def test_the_line_says_what_was_typed_and_where_it_is_explained(error: EdgecnnError, line: str) -> None:
    assert error.line() == line
    assert error.exit_code is ExitCode.BAD_INPUT
