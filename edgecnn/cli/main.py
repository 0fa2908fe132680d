"""The command line. Bodies import what they need, so that `--help` costs only typer."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import edgecnn
from edgecnn.cli import (
    baseline,
    bench,
    bundle,
    comparing,
    costing,
    data,
    devices,
    doctor,
    ensemble,
    explaining,
    listing,
    loadgen,
    looking,
    page,
    pipeline,
    predict,
    recipe,
    scaling,
    serve,
    starting,
    storing,
    ten_crop,
    usage,
)

app = typer.Typer(
    name="edgecnn",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="From photographs to an edge bundle of a convolutional network that tests itself, with evidence.",
    epilog="Exit codes: 0 passed, 1 a gate failed, 2 bad input, 3 something is missing, 4 unsure, 70 our fault, 130 interrupted.",
)
pipeline.register(app)
bench.register(app)
starting.register(app)
doctor.register(app)
listing.register(app)
devices.register(app)
recipe.register(app)
scaling.register(app)
storing.register(app)
page.register(app)
explaining.register(app)
looking.register(app)
ensemble.register(app)
ten_crop.register(app)
comparing.register(app)
costing.register(app)
baseline.register(app)
loadgen.register(app)
data.register(app)
bundle.register(app)
predict.register(app)
serve.register(app)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(edgecnn.__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """From photographs to an edge bundle of a convolutional network that tests itself, with evidence."""


def main() -> None:
    """The console script."""
    sys.exit(usage.run(app))
