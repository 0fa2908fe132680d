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
from edgecnn.errors.base import EXIT_MEANINGS

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
EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "doctor": ("edgecnn doctor", "edgecnn doctor --json"),
    "data inspect": ("edgecnn data inspect photos/", "edgecnn data inspect labels.csv --image-root photos/"),
    "data split": ("edgecnn data split photos/ --out split/", "edgecnn data split photos/ --out split/ --group-by '(.*)_'"),
    "data preview": ("edgecnn data preview photos/",),
    "data doubt": ("edgecnn data doubt builds/mobilenet-v2-cpu", "edgecnn data doubt builds/mobilenet-v2-cpu --out doubt/"),
    "init": ("edgecnn init photos/", "edgecnn init photos/ --target raspberry-pi-5 --arch mobilenet-v2"),
    "list": (
        "edgecnn list archs mobilenet",
        "edgecnn list archs --target raspberry-pi-5 --within p50_ms=50 --within size_mib=10",
        "edgecnn list devices",
    ),
    "forecast": (
        "edgecnn forecast --arch mobilenet-v2 --arch resnet-18 --target raspberry-pi-5",
        "edgecnn forecast --model model.onnx --threads 1",
    ),
    "plan": (
        "edgecnn plan --data photos/ --arch mobilenet-v2 --target cpu",
        "edgecnn plan recipe.toml",
    ),
    "build": (
        "edgecnn build --data photos/ --arch mobilenet-v2 --target cpu",
        "edgecnn build --model mine.onnx --data val/ --target raspberry-pi-5",
        "edgecnn build recipe.toml --max drop_pp=1 --max p50_ms=20",
    ),
    "fit": (
        "edgecnn fit --data photos/ --target cpu --within p50_ms=5",
        "edgecnn fit --data photos/ --target cpu --within p50_ms=5 --within size_mib=10",
        "edgecnn fit --data photos/ --family mobilenet-v2 --target raspberry-pi-5 --within images_per_s=20",
    ),
    "sweep plan": ("edgecnn sweep plan sweep.toml",),
    "sweep run": ("edgecnn sweep run sweep.toml", "edgecnn sweep run sweep.toml --max drop_pp=1"),
    "sweep status": ("edgecnn sweep status sweep.toml",),
    "sweep judge": ("edgecnn sweep judge sweep.toml --max p50_ms=20",),
    "report": ("edgecnn report builds/mobilenet-v2-cpu",),
    "explain": ("edgecnn explain builds/mobilenet-v2-cpu",),
    "compare": ("edgecnn compare builds/before builds/now",),
    "judge": (
        "edgecnn judge builds/mobilenet-v2-cpu --max drop_pp=1 --max p99_ms=20",
        "edgecnn judge builds/now --against builds/before --max latency_ratio=1.05",
    ),
    "devices add": ("edgecnn devices add pi.toml --host pi@192.168.1.20",),
    "devices check": ("edgecnn devices check --host pi@192.168.1.20", "edgecnn devices check pi.toml"),
    "devices measure": ("edgecnn devices measure cpu",),
    "devices emulate": ("edgecnn devices emulate",),
    "bench": ("edgecnn bench builds/mobilenet-v2-pi --host pi@192.168.1.20", "edgecnn bench builds/mobilenet-v2-cpu --fresh"),
    "predict": ("edgecnn predict builds/mobilenet-v2-cpu/bundle image.jpg", "edgecnn predict bundle/ photos/ --csv"),
    "bundle verify": ("edgecnn bundle verify bundle/", "edgecnn bundle verify bundle/ --allowed-signers allowed_signers"),
    "bundle sign": ("edgecnn bundle sign bundle/ --key ~/.ssh/id_ed25519",),
    "bundle zip": ("edgecnn bundle zip bundle/ --out bundle.zip",),
    "bundle sbom": ("edgecnn bundle sbom bundle/",),
    "bundle serve": ("edgecnn bundle serve bundle/",),
    "recipe schema": ("edgecnn recipe schema",),
    "recipe show": ("edgecnn recipe show recipe.toml",),
    "recipe diff": ("edgecnn recipe diff one.toml other.toml",),
    "study cost": ("edgecnn study cost efficientnet-b0", "edgecnn study cost mine.onnx"),
    "study scale": ("edgecnn study scale --arch efficientnet --within macs=200M",),
    "study look": ("edgecnn study look builds/mobilenet-v2-cpu",),
    "study ten-crop": ("edgecnn study ten-crop builds/mobilenet-v2-cpu",),
    "study ensemble": ("edgecnn study ensemble builds/a builds/b",),
    "study history": ("edgecnn study history builds/mobilenet-v2-cpu",),
    "study loadgen": ("edgecnn study loadgen builds/mobilenet-v2-cpu",),
    "evidence": ("edgecnn evidence --target cpu",),
    "evidence verify": ("edgecnn evidence verify evidence.json",),
    "baseline record": ("edgecnn baseline record builds/mobilenet-v2-cpu --out baseline.json",),
    "baseline import": ("edgecnn baseline import builds/mobilenet-v2-pi runs/ --out baseline.json",),
    "baseline pin": ("edgecnn baseline pin builds/mobilenet-v2-cpu --out base.json",),
    "baseline show": ("edgecnn baseline show baseline.json",),
    "baseline compare": ("edgecnn baseline compare builds/now baseline.json --max latency_ratio=1.05",),
    "store list": ("edgecnn store list",),
    "store verify": ("edgecnn store verify",),
    "store push": ("edgecnn store push",),
    "store pull": ("edgecnn store pull",),
    "store sync": ("edgecnn store sync",),
    "store gc": ("edgecnn store gc --dry-run", "edgecnn store gc --max-mib 20000"),
}
"""Command lines at the start of the help of each command, by the words after ``edgecnn``. A test reads each with its parser.

The verbs that stop earlier take the options of ``build``, and show its examples."""


class Commands(TyperGroup):
    """The commands of edgecnn. Those of the first screen are in panels; the others are hidden."""

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
    f"Exit codes: {', '.join(f'{code:d} {about.meaning}' for code, about in EXIT_MEANINGS.items())}.",
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
    judging,
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
