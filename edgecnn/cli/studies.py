"""`edgecnn study`: side questions about networks and finished builds. No study changes a build."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgecnn.cli.asking import stated_size
from edgecnn.cli.options import scale_text
from edgecnn.cli.results import history
from edgecnn.cli.verbs import Call, family, verb
from edgecnn.errors.base import ExitCode
from edgecnn.errors.measuring import unknown_scenario
from edgecnn.errors.usage import RESOLUTION_OF_A_FILE

if TYPE_CHECKING:
    pass

SCENARIOS = ("SingleStream", "MultiStream", "Offline", "Server")


def _scenario_name(name: str) -> str:
    """Return LoadGen's name of a scenario, such as SingleStream for single-stream."""
    match = next((scenario for scenario in SCENARIOS if scenario.lower() == name.lower().replace("-", "").replace("_", "")), None)
    if match is None:
        raise unknown_scenario(name=name, known=SCENARIOS)
    return match


ResolutionOpt = Annotated[
    str | None,
    typer.Option("--resolution", metavar="SIDE|HxW", help="Image size, such as 224 or 48x192 (default: the network's own)."),
]
BuildArg = Annotated[Path, typer.Argument(metavar="BUILD", help="The folder of a finished build, such as builds/ARCH-DEVICE.")]
BuildsArg = Annotated[list[Path], typer.Argument(metavar="BUILD BUILD…", help="Folders of finished builds.")]
EnsembleOut = Annotated[Path, typer.Option("--out", metavar="FILE.onnx", help="File to write.")]
NetworkArg = Annotated[
    str, typer.Argument(metavar="ARCH|FILE.onnx", help="A network listed by `edgecnn list archs`, a family, or an ONNX file.")
]
ExplainOpt = Annotated[
    str | None, typer.Option("--explain", metavar="LAYER", help="Show the arithmetic of one layer, by its name in the table.")
]
LookOut = Annotated[Path | None, typer.Option("--out", metavar="FOLDER", help="Folder to write (default: BUILD/look).")]
ImagesOpt = Annotated[int, typer.Option("--images", min=1, max=25, help="Images per channel, strongest first.")]
ChannelsOpt = Annotated[int, typer.Option("--channels", min=1, max=256, help="Channels per feature map, evenly spaced.")]
ArchOpt = Annotated[str, typer.Option("--arch", metavar="ARCH|FAMILY", help="Network, or a family such as efficientnet.")]
WithinOpt = Annotated[
    str, typer.Option("--within", metavar="macs=N,params=N,memory=N", help="Budgets, such as macs=200M,params=4M,memory=64MiB.")
]
TargetOpt = Annotated[
    str | None,
    typer.Option("--target", metavar="DEVICE", help="Device whose memory is the memory budget, unless --within sets one."),
]
PlotOpt = Annotated[
    Path | None, typer.Option("--plot", metavar="FILE", help="Plot the frontier and the budgets to FILE (.html, .png or .svg).")
]
SubjectArg = Annotated[
    Path, typer.Argument(metavar="BUILD|KIT", help="The folder of a finished build, such as builds/ARCH-DEVICE, or of one kit.")
]
ScenarioOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--scenario",
        metavar="NAME",
        parser=_scenario_name,
        help=f"One of {', '.join(SCENARIOS)}; may be repeated (default: all).",
    ),
]
DurationOpt = Annotated[
    float,
    typer.Option(
        "--duration", min=0.1, max=3600, metavar="SECONDS", help="Minimum duration of a run, in seconds (MLPerf requires 600)."
    ),
]
ServerOpt = Annotated[
    float,
    typer.Option(
        "--server-latency-ms", min=0.01, metavar="MS", help="Server scenario: largest allowed 99th percentile of latency."
    ),
]
CandidateOpt = Annotated[str | None, typer.Option("--candidate", metavar="ID", help="Kit to use (default: the bundle's choice).")]
LoadgenOut = Annotated[
    Path | None,
    typer.Option("--out", metavar="FOLDER", help="Folder for logs and report (default: BUILD/loadgen/TIME or ./loadgen/TIME)."),
]


def register(app: typer.Typer) -> None:
    """Add the group and its verbs."""
    app = family(app, "study", short="Answer side questions: cost, scale, history, load, ensembles, …")
    verb(app, "cost", short="Count a network's parameters, arithmetic and memory.", takes=("scale",))(cost)
    verb(app, "scale", short="Find the largest network of a family within budgets.")(scale)
    verb(app, "look", short="Show filters and the images that excite them most.")(look)
    verb(app, "ten-crop", short="Evaluate the float network on ten crops per image.")(ten_crop)
    verb(app, "ensemble", short="Average several builds in one ONNX file.")(ensemble)
    verb(app, "history", short="Show measurements over time in a table and a page.")(history)
    verb(app, "loadgen", short="Run MLPerf's LoadGen on a kit (not an official result).")(loadgen)


def cost(call: Call, network: NetworkArg, explain: ExplainOpt = None, resolution: ResolutionOpt = None) -> None:
    """Count parameters, multiply-adds, memory and receptive field, by layer and in total. Nothing runs."""
    from edgecnn.render.screens.studies import show_cost
    from edgecnn.studies.cost import SUFFIX, cost_of, layer_of

    if resolution is not None and network.endswith(SUFFIX):
        raise RESOLUTION_OF_A_FILE(command="edgecnn study cost", network=network)
    size = None if resolution is None else stated_size(resolution, "edgecnn study cost")
    network_cost = cost_of(network, None if call.options.scale is None else scale_text(call.options.scale), size)
    if explain is None:
        call.show(network_cost, lambda: show_cost(network_cost))
    else:
        layer = layer_of(network_cost, explain)
        call.show(layer, [f"{layer.name} ({layer.op})", *layer.arithmetic])


def scale(call: Call, arch: ArchOpt, within: WithinOpt, target: TargetOpt = None, plot: PlotOpt = None) -> None:
    """Search depth, width and resolution within budgets of arithmetic, parameters and memory."""
    from edgecnn.api import require_plot, write_frontier
    from edgecnn.render.screens.studies import show_search
    from edgecnn.studies.cost import network_or_family, search_scale, stated_budgets

    if plot is not None:
        require_plot(plot)
    spec, budgets = network_or_family(arch), stated_budgets(within, target)
    search = search_scale(spec, budgets, lambda done: call.tell.step("count networks", done, None, "networks"))
    call.show(search, lambda: show_search(search))
    if plot is not None:  # last, since it may fail and the search has taken a minute
        call.add([f"{plot}: {write_frontier(search, plot):,} bytes"])


def look(call: Call, build: BuildArg, out: LookOut = None, images: ImagesOpt = 9, channels: ChannelsOpt = 16) -> None:
    """Show the first layer's filters, and the image parts that excite each channel most."""
    from edgecnn.render.screens.studies import show_look
    from edgecnn.studies.look import LookRequest, look_into

    folder = out or build / "look"
    report = look_into(build, folder, LookRequest(images, channels), call.store, call.tell)
    call.show(report, lambda: show_look(report, folder))


def ten_crop(call: Call, build: BuildArg) -> None:
    """Evaluate a finished build's float network on ten crops of each test image. Bundles never use ten crops."""
    from edgecnn.render.screens.studies import show_ten_crop
    from edgecnn.studies.ten_crop import ten_crop as evaluated

    report = evaluated(build, call.store, call.tell)
    call.show(report, lambda: show_ten_crop(report))


def ensemble(call: Call, builds: BuildsArg, out: EnsembleOut = Path("ensemble.onnx")) -> ExitCode:
    """Average the networks of finished builds in one ONNX file for `build --model`, and show the cost and the gain."""
    from edgecnn.render.screens.studies import show_ensemble
    from edgecnn.studies.ensemble import make_ensemble
    from edgecnn.values.verdict import Verdict

    report = make_ensemble(builds, out, call.store, call.tell)
    call.show(report, lambda: show_ensemble(report))
    if report.verdict is None:
        return ExitCode.OK
    return ExitCode.GATE_FAILED if report.verdict is Verdict.FAIL else ExitCode.UNSURE


def loadgen(  # noqa: PLR0913 - a command line's options are its parameters
    call: Call,
    subject: SubjectArg,
    scenario: ScenarioOpt = None,
    duration: DurationOpt = 10.0,
    server_latency_ms: ServerOpt = 15.0,
    candidate: CandidateOpt = None,
    out: LoadgenOut = None,
) -> ExitCode:
    """Run MLPerf's LoadGen on a kit, with its scenarios and rules. This is not an official MLPerf result."""
    from edgecnn.measure.loadgen.facts import Scenario
    from edgecnn.measure.loadgen.run import LoadRequest
    from edgecnn.render.screens.studies import show_loadgen
    from edgecnn.studies.loadgen import LoadTarget, measure_and_write

    scenarios = tuple(Scenario(name) for name in SCENARIOS if name in (scenario or SCENARIOS))
    request = LoadRequest(scenarios=scenarios, duration_s=duration, server_latency_ms=server_latency_ms)
    written = measure_and_write(LoadTarget(folder=subject, candidate=candidate, out=out), request, call.tell)
    facts = {**written.report.model_dump(mode="json", by_alias=True), "folder": str(written.folder)}
    call.show(facts, lambda: show_loadgen(written.report, written.folder))
    valid = all(result.valid for result in written.report.results)
    return ExitCode.OK if valid else ExitCode.MISSING  # an INVALID result is not a measurement
