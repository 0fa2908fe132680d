"""Failures of `edgecnn forecast` and of the public tables that it reads."""

from __future__ import annotations

from edgecnn.errors.base import ErrorRow

PUBLIC_TABLE_DAMAGED = ErrorRow(
    "public-table-damaged", "{path} is not a public table", "{because}", "install edgecnn again, or restore the file from Git"
)
NOTHING_FORECAST = ErrorRow(
    "nothing-forecast",
    "no forecast can be made",
    "{reasons:first 3}",
    "`edgecnn forecast --arch resnet-18` lists the devices that have a table",
)
BOARD_WITHOUT_FILE = ErrorRow(
    "board-without-file",
    "edgecnn builds nothing for {board}",
    "public tables have it, but no device file describes it",
    "edgecnn forecast --arch mobilenet-v2 --target {board}",
)
NETWORK_WITHOUT_OPTION = ErrorRow(
    "network-without-option",
    "edgecnn forecast takes no argument without an option, such as {names[0]!r}",
    "networks of the catalogue follow --arch",
    "edgecnn forecast {options}",
)
