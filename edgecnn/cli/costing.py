"""`edgecnn cost`: what one image costs a network, counted before anything is built."""

from __future__ import annotations

from typing import Annotated

import typer

from edgecnn.cli import options as opt
from edgecnn.cli.asking import scale_of
from edgecnn.cli.exits import guarded
from edgecnn.errors.base import ExitCode

NetworkArg = Annotated[
    str, typer.Argument(metavar="ARCH|FILE.onnx", help="A network, as in `edgecnn list archs`, a family, or an ONNX file.")
]
ExplainOpt = Annotated[
    str | None, typer.Option("--explain", metavar="LAYER", help="Show the arithmetic of one layer, by its name in the table.")
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("cost", help="Count parameters, multiply-adds, memory and receptive field, by layer and in total. Runs nothing.")(
        _cost
    )


def _cost(
    network: NetworkArg,
    scale: opt.ScaleOpt = None,
    explain: ExplainOpt = None,
    as_json: opt.JsonOpt = False,
    debug: opt.DebugOpt = False,
) -> None:
    def body() -> ExitCode:
        from edgecnn.render.screens.studies import show_cost, show_layer
        from edgecnn.render.terminal import show_json
        from edgecnn.studies.cost import cost_of, layer_of

        cost = cost_of(network, None if scale is None else scale_of(scale).text())
        layer = None if explain is None else layer_of(cost, explain)
        if as_json:
            show_json((layer or cost).model_dump(mode="json", by_alias=True))
        elif layer is not None:
            show_layer(layer)
        else:
            show_cost(cost)
        return ExitCode.OK

    raise typer.Exit(guarded(body, as_json=as_json, debug=debug))
