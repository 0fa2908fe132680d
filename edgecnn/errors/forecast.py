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
