"""Failures of `edgecnn forecast` and of the public tables that it reads."""

from __future__ import annotations

from edgecnn.errors.base import ErrorRow

PUBLIC_TABLE_DAMAGED = ErrorRow(
    "public-table-damaged", "{path} is not a public table", "{because}", "reinstall edgecnn, or restore the file from Git"
)
NOTHING_FORECAST = ErrorRow(
    "nothing-forecast",
    "no forecast can be made",
    "{reasons:first 3}",
    "run `edgecnn forecast --arch resnet-18` to list the devices that have a table",
)
BOARD_WITHOUT_FILE = ErrorRow(
    "board-without-file",
    "edgecnn cannot build for {board}",
    "public tables have this board, but no device file describes it",
    "for predictions, run edgecnn forecast --arch mobilenet-v2 --target {board:word}",
)
NETWORK_WITHOUT_OPTION = ErrorRow(
    "network-without-option",
    "edgecnn forecast takes only options, not {names[0]!r}",
    "pass networks of the catalogue with --arch",
    "run edgecnn forecast {options}",
)
