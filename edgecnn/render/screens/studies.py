"""The screens of side studies: scale, ten-crop, ensemble, look, cost, loadgen and data doubt."""

from __future__ import annotations

from pathlib import Path

from edgecnn.errors.wording import counted
from edgecnn.judging.latency import knobs_text
from edgecnn.measure.loadgen.facts import LoadGenReport, LoadRun, Scenario, ScenarioResult
from edgecnn.render.figures import percent_interval, points
from edgecnn.render.terminal import show_lines, show_rows
from edgecnn.studies.facts import Ensemble, EnsembleRow, FeaturePictures, LabelDoubt, ScaleSearch, TenCrop
from edgecnn.values.layers import NetworkCost

MIB = 1 << 20
SCALE_COLUMNS = ("depth ×", "width ×", "px", "multiply-adds", "parameters", "memory MiB", "difference φ", "")


def show_search(search: ScaleSearch) -> None:
    """Print the frontier, the best point first, and how to build it."""
    rows = [
        (
            f"{point.depth:g}", f"{point.width:g}", str(point.resolution), f"{point.macs:,}", f"{point.parameters:,}",
            f"{point.memory_bytes / MIB:.1f}", f"{point.imbalance:.2f}", "best" if point == search.best else "",
        )
        for point in search.frontier
    ]  # fmt: skip
    show_rows(SCALE_COLUMNS, rows)
    show_lines(search_lines(search))


def search_lines(search: ScaleSearch) -> list[str]:
    """Return the budgets, the best scale, and the command that builds it."""
    limits = ", ".join(limit_text(name, most) for name, most in search.budgets.items())
    target = f" (memory of {search.from_target})" if search.from_target else ""
    return [
        f"{search.arch} inside {limits}{target}: --scale {search.best.scale}",
        search.rule,
        "memory: weights plus the largest activations held at one time, in float32; the runtime itself needs more",
        f"build it: edgecnn build --arch {search.arch} --scale {search.best.scale}",
    ]


def limit_text(name: str, most: int) -> str:
    """``memory ≤ 8.0 MiB``."""
    return f"{name} ≤ {most / MIB:,.1f} MiB" if name == "memory" else f"{name} ≤ {most:,}"


TEN_CROP_COLUMNS = ("input", "top-1 (95 %)", "multiply-adds")


def show_ten_crop(ten_crop: TenCrop) -> None:
    """Print the accuracy and the cost of one crop and of ten crops."""
    single = ("centre crop, as kits use it", percent_interval(ten_crop.single_top1), f"{ten_crop.macs:,}")
    ten = ("ten crops, probabilities averaged", percent_interval(ten_crop.ten_top1), f"{ten_crop.ten_macs:,}")
    show_rows(TEN_CROP_COLUMNS, [single, ten])
    show_lines(ten_crop_lines(ten_crop))


def ten_crop_lines(ten_crop: TenCrop) -> list[str]:
    """Return the gain, its cost, and the images that are too small for ten views."""
    lines = [
        f"{ten_crop.network} (fp32), {ten_crop.images:,} test images: {points(ten_crop.difference_pp)} for 10× the multiply-adds "
        f"({ten_crop.gained:,} images gained, {ten_crop.lost:,} lost)",
        "kits use only the centre crop",
    ]
    if ten_crop.without_room:
        lines.append(
            f"{ten_crop.without_room:,} images are no larger than the crop, so they have two views: the image and its mirror"
        )
    return lines


ENSEMBLE_COLUMNS = ("network", "parameters", "multiply-adds", "MiB", "top-1 on validation (95 %)", "from")


def show_ensemble(ensemble: Ensemble) -> None:
    """Print the members and the ensemble."""
    show_lines(unlearned_lines(ensemble))
    show_rows(ENSEMBLE_COLUMNS, [*map(_ensemble_row, ensemble.members), _ensemble_row(ensemble.whole)])
    show_lines(ensemble_lines(ensemble))


def unlearned_lines(ensemble: Ensemble) -> list[str]:
    """Return one line if the ensemble is not shown to have learned, else none."""
    top1, chance = ensemble.whole.accuracy_top1, ensemble.chance_top1
    if ensemble.verdict is None or top1 is None or chance is None:
        return []
    says = f"{percent_interval(top1)} of the validation images are right"
    against = f"guessing the most frequent class gets {100 * chance:.1f} %"
    return [f"{ensemble.verdict.value}: {ensemble.whole.name} is not shown to have learned: {says}; {against}"]


def ensemble_lines(ensemble: Ensemble) -> list[str]:
    """Return the gain, its cost, and the command that builds the file."""
    difference = (
        "no accuracy: the builds do not share labelled validation images"
        if ensemble.difference_pp is None
        else f"gain over {ensemble.best} on the same {ensemble.images:,} images: {points(ensemble.difference_pp)}, in fp32"
    )
    most = max(row.macs for row in ensemble.members)
    times = f"{ensemble.whole.macs / most:.1f}× the multiply-adds of the most expensive member" if most else "no multiply-adds"
    return [
        f"{ensemble.file}: the mean of {len(ensemble.members)} networks' probabilities; {times}",
        difference,
        f"build it: {ensemble.command}",
    ]


def _ensemble_row(row: EnsembleRow) -> tuple[str, ...]:
    top1 = "–" if row.accuracy_top1 is None else percent_interval(row.accuracy_top1)
    return row.name, f"{row.parameters:,}", f"{row.macs:,}", f"{row.size_bytes / 2**20:.1f}", top1, row.folder or "all of them"


MAP_COLUMNS = ("after layer", "channels", "map", "receptive field, px", "constant channels", "drawn", "picture")


def show_look(pictures: FeaturePictures, out: Path) -> None:
    """Print the pictures of each layer, and of the first filters."""
    rows = [
        (
            feature_map.after, f"{feature_map.channels:,}", f"{feature_map.columns} × {feature_map.rows}",
            f"{feature_map.receptive_field_px:,}",
            str(feature_map.constant_channels), str(len(feature_map.drawn)), feature_map.picture,
        )
        for feature_map in pictures.maps
    ]  # fmt: skip
    show_rows(MAP_COLUMNS, rows)
    first = pictures.filters
    filters = (
        "no picture of filters: the first convolution has no floating-point weights"
        if first is None
        else f"{first.picture}: {first.filters} filters of {first.columns} × {first.rows} in {first.layer}, grey is zero"
    )
    shown = f"{pictures.network} (fp32) saw {counted(pictures.images, 'validation image')} at {pictures.resolution_px} px"
    show_lines([shown, filters, f"{out}: look.json and pictures"])


LAYER_COLUMNS = ("layer", "operator", "output", "parameters", "multiply-adds", "live KiB", "receptive field, px")


def show_cost(cost: NetworkCost) -> None:
    """Print layers, then totals."""
    rows = [
        (
            layer.name, layer.op, "×".join(map(str, layer.output)), f"{layer.parameters:,}", f"{layer.macs:,}",
            f"{layer.live_bytes / 1024:,.0f}", "all" if layer.receptive_field_px is None else f"{layer.receptive_field_px:,}",
        )
        for layer in cost.layers
    ]  # fmt: skip
    show_rows(LAYER_COLUMNS, rows)
    scaled = f" (--scale {cost.scale})" if cost.scale else ""
    sees = "the whole image" if cost.receptive_field_px is None else f"{cost.receptive_field_px:,} px"
    show_lines(
        [
            f"{cost.network}{scaled} at {cost.resolution_px} px: {cost.parameters:,} parameters, {cost.macs:,} multiply-adds",
            f"activations: at most {cost.activation_bytes / MIB:.2f} MiB, at {cost.activation_peak}; "
            f"{cost.memory_bytes / MIB:.2f} MiB with the weights, in float32",
            f"receptive field before global pooling: {sees} (squeeze-excite gates not counted)",
            *(f"not counted: {count} × {op}" for op, count in cost.not_counted.items()),
            "counted for one image, not measured",
        ]
    )


SCENARIO_COLUMNS = ("scenario", "LoadGen", "figure", "queries", "p50 ms", "p90 ms", "p99 ms", "logs")
_FIGURE = {
    Scenario.SINGLE_STREAM: "90th percentile {:.3f} ms",
    Scenario.MULTI_STREAM: "99th percentile {:.3f} ms of 8 images",
    Scenario.OFFLINE: "{:.1f} images/s",
    Scenario.SERVER: "{:.1f} images/s",
}


def show_loadgen(report: LoadGenReport, out: Path) -> None:
    """Print a table, why runs are INVALID, the meaning of the figures, and the results folder."""
    cpu = report.environment.conditions.get("gpu") or report.environment.conditions.get("cpu", "this machine")
    knobs = f" with {knobs_text(report.knobs)}" if report.knobs else ""
    show_rows(SCENARIO_COLUMNS, [_scenario_row(result) for result in report.results], title=f"{report.candidate} on {cpu}{knobs}")
    show_lines([f"  {result.scenario.value}: {result.reason}" for result in report.results if result.reason])
    show_lines([f"  {line}" for result in report.results if (line := _server_bound(result))])
    show_lines([f"  {report.claim}", f"  {out}"])


def _scenario_row(result: ScenarioResult) -> tuple[str, ...]:
    run = _counting_run(result)
    verdict = "VALID" if result.valid else "INVALID"
    figure = "–" if result.figure is None else _FIGURE[result.scenario].format(result.figure)
    if run is None:
        return (result.scenario.value, "not run", figure, "–", "–", "–", "–", "–")
    queued = result.scenario is Scenario.OFFLINE  # an image waits for those before it, so this is not latency
    percentiles = ("–" if queued else f"{run.percentiles_ms[name]:.3f}" for name in ("p50", "p90", "p99"))
    return (result.scenario.value, verdict, figure, f"{run.queries:,}", *percentiles, run.logs)


def _counting_run(result: ScenarioResult) -> LoadRun | None:
    """Return the run that counts, else the last one."""
    if result.counts is not None:
        return result.runs[result.counts]
    return result.runs[-1] if result.runs else None


def _server_bound(result: ScenarioResult) -> str | None:
    """Return the latency bound of the server scenario, and the rate that was too high."""
    run = _counting_run(result)
    if result.scenario is not Scenario.SERVER or run is None:
        return None
    refused = [
        attempt.settings.target_qps for attempt in result.runs if not attempt.valid and attempt.settings.target_qps is not None
    ]
    too_much = f"; INVALID at {min(refused):.4g} images a second" if refused else ""
    halved = f"rate halved {counted(len(result.runs), 'time')}{too_much}"
    return f"Server: 99th percentile at most {run.settings.target_latency_ms:g} ms, {halved}"


DOUBT_COLUMNS = ("image", "label", "suggested", "label %", "suggested %")
CLASS_COLUMNS = ("class", "images", "recall (95 %)", "doubted labels", "gain, pp (90 %)")
_DOUBTED_ON_SCREEN = 20


def show_doubt(doubt: LabelDoubt, folder: Path) -> None:
    """Print the most doubtful labels, the classes, and the next steps."""
    rows = [
        (
            image.file,
            image.label,
            image.suggested,
            f"{100 * image.label_probability:.0f}",
            f"{100 * image.suggested_probability:.0f}",
        )
        for image in doubt.doubted[:_DOUBTED_ON_SCREEN]
    ]
    show_lines(_doubt_weakness_lines(doubt))
    show_rows(DOUBT_COLUMNS, rows)
    show_rows(CLASS_COLUMNS, class_rows(doubt))
    show_lines([*doubt_lines(doubt), *doubt_next_lines(doubt, str(folder))])


def class_rows(doubt: LabelDoubt) -> list[tuple[str, ...]]:
    """Return the rows of the classes, the lowest recall first. A class with too few images has no figures."""
    return [
        (
            outlook.name, f"{outlook.images:,}", "–" if outlook.recall is None else percent_interval(outlook.recall),
            f"{outlook.doubted:,}", "–" if outlook.gain_pp is None else points(outlook.gain_pp),
        )
        for outlook in doubt.classes
    ]  # fmt: skip


def doubt_lines(doubt: LabelDoubt) -> list[str]:
    """Return the result and the images to collect next."""
    share = len(doubt.doubted) / doubt.images
    lines = [
        *_doubt_weakness_lines(doubt),
        f"{counted(len(doubt.doubted), 'label')} of {doubt.images:,} ({share:.1%}) may be wrong "
        f"({', '.join(doubt.roles)} images).",
        f"All percentages here are those of a linear probe on features of {doubt.network}, not of the build: its top-1 is "
        f"{percent_interval(doubt.top1)} in {doubt.folds}-fold cross-validation.",
        f"Twice the images of every class: top-1 {percent_interval(doubt.top1_at_twice)} (90 % interval).",
    ]
    if doubt.features_trained:
        lines.append("The network was trained on these labels, wrong ones too; a build with --transfer head finds more of them.")
    gains = [outlook for outlook in doubt.classes if outlook.gain_pp is not None]
    if gains:
        best = max(gains, key=lambda outlook: outlook.gain_pp.estimate if outlook.gain_pp else 0.0)
        assert best.gain_pp is not None
        lines.append(
            f"Collect {best.name} next: {doubt.more_images} more images add {points(best.gain_pp)} to its recall (90 % interval)."
        )
    if doubt.near:
        lines.append(f"{counted(len(doubt.near), 'group')} of images look alike and are in several classes.")
    if doubt.not_judged:
        lines.append(f"Too few independent images to judge: {', '.join(doubt.not_judged)}.")
    if "test" in doubt.roles:
        lines.append("Test labels were judged too. If you correct them by these suggestions, test accuracy becomes too high.")
    return lines


def _doubt_weakness_lines(doubt: LabelDoubt) -> list[str]:
    """Return a warning if the network is too weak to doubt labels: most of the doubted labels are then right."""
    if doubt.weakness is None or doubt.chance_top1 is None:
        return []
    than = "does not beat guessing" if doubt.weakness == "at-chance" else "is weak"
    figures = f"top-1 {percent_interval(doubt.top1)}; guessing gets {100 * doubt.chance_top1:.1f} %"
    return [
        f"WARNING: {doubt.network} {than} on these images ({figures}), so most doubted labels are right. Do not correct labels "
        "by this list; build with pretrained weights first."
    ]


def doubt_next_lines(doubt: LabelDoubt, folder: str) -> list[str]:
    """Return the files in ``folder``, and how to use corrected labels."""
    if doubt.list_file is None:
        return [f"{folder}: doubt.json and doubt.html; the demo images are not files, so there is no list"]
    files = f"{folder}: doubt.html, doubt.json and {doubt.list_file}"
    if doubt.build_command is None:
        return [files]
    return [files, f"Correct the column label of {doubt.list_file}, then build again: {doubt.build_command}"]
