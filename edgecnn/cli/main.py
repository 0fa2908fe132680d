"""The command line. Bodies import what they need, so that `--help` costs only typer."""

from __future__ import annotations

import gc
import sys
from typing import Annotated

import typer

import edgecnn
from edgecnn.cli import (
    baseline,
    bench,
    bundle,
    data,
    devices,
    evidence,
    fit,
    forecast,
    judging,
    listing,
    recipe,
    results,
    storing,
    studies,
    sweep,
    usage,
)
from edgecnn.cli import build as pipeline

ABOUT = "Train, quantize, compile and measure an image classifier for a device, and ship it as a bundle that tests itself."
app = typer.Typer(
    name="edgecnn",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=ABOUT,
    epilog="Exit codes: 0 passed, 1 a gate failed, 2 bad input, 3 missing, 4 unsure, 70 internal error, 130 interrupted.",
)
for module in (
    pipeline,
    fit,
    sweep,
    judging,
    recipe,
    data,
    listing,
    forecast,
    studies,
    results,
    bench,
    evidence,
    devices,
    baseline,
    bundle,
    storing,
):
    module.register(app)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(edgecnn.__version__)
        raise typer.Exit


@app.callback(help=ABOUT)
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None: ...


def main() -> None:
    """The console script. It loads some three hundred modules whose objects all stay: collecting among them costs 0.1 s."""
    gc.set_threshold(20_000)
    sys.exit(usage.run(app))
