"""The command line. Bodies import what they need, so that `--help` costs only typer."""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping
from typing import Annotated, Any, cast

import typer
from typer.core import TyperGroup

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
from edgecnn.cli.examples import EXAMPLES

ABOUT = "Train, quantize, compile and measure an image classifier for a device, and ship it as a bundle that tests itself."
FIRST_SCREEN: Mapping[str, tuple[str, ...]] = {
    "Start": ("doctor", "data", "init", "list", "forecast"),
    "Build": ("plan", "build", "fit", "sweep"),
    "Decide": ("explain", "compare", "judge"),
    "Devices": ("devices", "bench"),
    "Ship": ("predict", "bundle"),
}
"""Panels and commands of ``edgecnn --help``, in this order. All other commands are under *More*, which ``--help-all`` shows."""
MORE = "More"


class Commands(TyperGroup):
    """The commands of edgecnn: those of the first screen in panels, the others hidden."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        panels = {name: panel for panel, names in FIRST_SCREEN.items() for name in names}
        for name, command in self.commands.items():
            command.hidden = name not in panels
            vars(command)["rich_help_panel"] = panels.get(name, MORE)
            _show_examples(command, name)

    def list_commands(self, ctx: Any) -> list[str]:
        """Return every name, those of the first screen first."""
        shown = [name for names in FIRST_SCREEN.values() for name in names]
        return [*shown, *(name for name in self.commands if name not in shown)]

    def show_all(self) -> None:
        """Make ``--help`` show every command."""
        for command in self.commands.values():
            command.hidden = False


def _show_examples(command: Any, words: str) -> None:
    """Insert the examples of a command and of its subcommands after the first paragraph of the help."""
    if (examples := EXAMPLES.get(words)) is not None:
        first, *more = (command.help or "").split("\n\n")
        shown = "\b\n" + "\n".join(f"  {example}" for example in examples)
        command.help = "\n\n".join((first, shown, *more))
    for name, inner in getattr(command, "commands", {}).items():
        _show_examples(inner, f"{words} {name}")


app = typer.Typer(
    name="edgecnn",
    cls=Commands,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=ABOUT,
    epilog="`edgecnn --help-all` lists every command. "
    "Exit codes: 0 passed, 1 a gate failed, 2 bad input, 3 missing, 4 unsure, 70 internal error, 130 interrupted.",
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


def _version(requested: bool) -> None:
    if requested:
        typer.echo(edgecnn.__version__)
        raise typer.Exit


def _help_all(context: typer.Context, requested: bool) -> None:
    if requested:
        cast("Commands", context.command).show_all()
        typer.echo(context.get_help())
        raise typer.Exit


@app.callback(help=ABOUT)
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
    help_all: Annotated[
        bool, typer.Option("--help-all", callback=_help_all, is_eager=True, help="Show every command, and exit.")
    ] = False,
) -> None: ...


def main() -> None:
    """Run the console script. Garbage collection is rarer, because collecting the objects of about 300 modules costs 0.1 s."""
    gc.set_threshold(20_000)
    sys.exit(usage.run(app))
