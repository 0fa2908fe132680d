"""The screens of a bundle and of evidence: verification, predictions, serving, measurements, and records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from edgecnn.bench.facts import BundleBench
from edgecnn.bundle.evidence import EvidenceKit, EvidenceNetwork, EvidenceRecord, EvidenceVerification
from edgecnn.bundle.manifest import BundleVerification, Unlearned
from edgecnn.bundle.predictions import Predictions, Served
from edgecnn.errors.wording import counted
from edgecnn.render import figures
from edgecnn.render.screens.report import show_table
from edgecnn.render.sentences import gate_line, gate_lines, judged_line, mac_share_text, runs_text, stated_gates_lines
from edgecnn.render.terminal import VERDICT_STYLE, console, print_unbroken, print_wrapped, show_lines, show_rows
from edgecnn.render.wording import csv_line, duration_text, lines_by_reason, sandbox_text
from edgecnn.runner.text import unlearned_text
from edgecnn.values.figures import Accuracy, MultiLabelAccuracy
from edgecnn.values.report import MEDIAN, PERCENTILES
from edgecnn.values.sandbox import Confinement
from edgecnn.values.verdict import CHANCE, Verdict

_NAMED = 5


def verification_lines(verification: BundleVerification) -> Iterator[str]:
    """Yield the result of a verification, the signer, and ignored files."""
    mib = verification.bytes / 2**20
    packed = f"{verification.name} version {verification.version}"
    yield f"{verification.path}: complete, {verification.files:,} files, {mib:,.1f} MiB, as packed: {packed}"
    yield f"  kits: {', '.join(verification.kits) or 'none'}{f'; {verification.chosen} is chosen' if verification.chosen else ''}"
    yield f"  bundle.json: SHA-256 {verification.sha256}"
    if verification.signature == "good":
        yield f"  signed by {verification.signer}"
    if verification.remembered is not None:
        yield f"  this machine accepted version {verification.remembered} before"
    if verification.made_here:
        more = f" and {len(verification.made_here) - _NAMED:,} more" if len(verification.made_here) > _NAMED else ""
        yield f"  ignored and not verified: {', '.join(verification.made_here[:_NAMED])}{more}"


def warning_lines(warnings: Iterable[str], unlearned: Mapping[str, Unlearned] | None = None) -> Iterator[str]:
    """Yield warnings about a bundle, for stderr. ``unlearned``: its kits that are not shown to have learned."""
    yield from (f"edgecnn: warning: {warning}" for warning in warnings)
    kits = unlearned or {}
    if kits:  # the kits have the same network
        name, facts = next(iter(kits.items()))
        others = f"; the same holds for {counted(len(kits) - 1, 'other kit')}" if len(kits) > 1 else ""
        yield f"edgecnn: warning: {unlearned_text(name, **facts.model_dump())}{others}"


def confinement_lines(confinement: Confinement | None) -> Iterator[str]:
    """Yield a warning for stderr if the sandbox of a kit was not complete."""
    if confinement is not None and confinement.unrestricted:
        yield f"edgecnn: warning: {sandbox_text(confinement)}"


NO_LABEL = ("no label", figures.NONE)
"""Cells of an image for which all probabilities of a multi-label network are below their thresholds."""
COLUMNS = ("image", "label", "probability", "next labels")


def show_predictions(predictions: Predictions, *, as_csv: bool) -> None:
    """Print a row for each image, or CSV."""
    if as_csv:
        show_lines(_csv_lines(predictions))
        return
    labelled = (
        (prediction.file, [(label.label, f"{label.probability * 100:.1f} %") for label in prediction.labels])
        for prediction in predictions.predictions
    )
    rows = (
        (file, *(labels or [NO_LABEL])[0], "; ".join(f"{label} {share}" for label, share in labels[1:]))
        for file, labels in labelled
    )
    show_rows(COLUMNS, rows, title=f"{predictions.name} version {predictions.version}: {predictions.candidate}")


def _csv_lines(predictions: Predictions) -> Iterator[str]:
    """Yield a line for each label. An image without a label has a line with only its file."""
    rows: list[tuple[object, ...]] = [("file", "rank", "label", "probability")]
    for prediction in predictions.predictions:
        labels = enumerate(prediction.labels, start=1)
        rows += [(prediction.file, rank, label.label, f"{label.probability:.6f}") for rank, label in labels] or [
            (prediction.file, "", "", "")
        ]
    yield from map(csv_line, rows)


def unreadable_lines(predictions: Predictions) -> Iterator[str]:
    """Yield the files that were skipped or not read, for stderr."""
    yield from (f"edgecnn: skipped: {skipped}" for skipped in predictions.skipped)
    for image in predictions.unreadable:
        yield f"edgecnn: not read: {image.file}: {image.because}"
    if predictions.unreadable:
        unread = len(predictions.unreadable)
        yield f"edgecnn: {unread:,} of {unread + len(predictions.predictions):,} files were not read"


def served_lines(url: str, served: Served, *, only_this_machine: bool) -> Iterator[str]:
    """Yield the address, and whether other machines can connect."""
    yield url
    if only_this_machine:
        yield "  only programs on this machine can connect; --host 0.0.0.0 lets others in"
    yield f"  {served.name} version {served.version}: {served.candidate}, {served.classes:,} classes; Ctrl-C stops it"


def exposed_lines(address: str, port: int) -> Iterator[str]:
    """Yield a warning for stderr if other machines can connect."""
    yield (
        f"edgecnn: warning: listening on {address}: anyone who can reach port {port} of this machine can use it, "
        "without a password, and images are sent unencrypted"
    )


def show_bundle_bench(bench: BundleBench, *, verbose: bool = False) -> None:
    """Print the result, the table of kits, gates, notes, and the result again as the last line."""
    screen, style = console(), VERDICT_STYLE[bench.verdict.value]
    used = next((facts.answered for facts in bench.candidates if facts.chosen), None)
    result = judged_line(bench.verdict, bench.gates, None if used is None else used.images)
    result = result or f"{bench.verdict.value}: no gate was judged"
    print_wrapped(screen, result, style)
    title = f"{bench.bundle.name} version {bench.bundle.version} on {bench.machine}"
    show_table(bench.candidates, title, screen, verbose=verbose)
    for line in bundle_bench_lines(bench, verbose=verbose):
        print_wrapped(screen, line)
    for line in confinement_lines(bench.confinement):
        print_wrapped(screen, line)
    print_unbroken(screen, f"results: {bench.output}")
    print_wrapped(screen, result, style)


def _folds_text(accuracy: Accuracy | MultiLabelAccuracy) -> str:
    folds = accuracy.folds if isinstance(accuracy, Accuracy) else None
    if folds is None:
        return ""
    alone = f"of the {folds.each[0].images:,} of this kit's own fold {figures.percent_interval(folds.alone_top1)}"
    return f" of {len(folds.each)} folds ({alone})"


def bundle_bench_lines(bench: BundleBench, *, verbose: bool = False) -> list[str]:
    """Return the accuracy that the build recorded, and open gates. ``verbose``: also the other gates, error rates and notes."""
    lines = [
        f"{name}: recorded by the build: {'top-1' if isinstance(accuracy, Accuracy) else 'mAP'} "
        f"{figures.percent_interval(accuracy.share)} of {accuracy.images:,} images{_folds_text(accuracy)}, on {accuracy.machine}"
        for name, accuracy in bench.recorded.items()
    ]
    lines += stated_gates_lines(bench.gates)
    details = [*gate_lines(bench.gates, require_measured=bench.require_measured), *(f"note: {note}" for note in bench.notices)]
    if verbose:
        return [*lines, *details]
    lines += [
        gate_line(result, require_measured=bench.require_measured)
        for result in bench.gates
        if result.verdict is not Verdict.PASS and result.gate.stated_by != CHANCE
    ]
    return [*lines, f"{counted(len(details), 'more detail')}: add --verbose"] if details else lines


_CONDITIONS = ("cpu", "isa", "cores", "kernel", "governor", "clocks", "power_mode", "driver", "gpu", "emulator")
_EVERY_MACHINE_HAS = ("governor", "clocks")
"""Conditions that are listed even if they were not read."""
_OBSERVED = ("temperature_c", "throttled", "others_percent")
LIMITS = (
    "It records only how long these kits took on that machine on that day. "
    "It says nothing about accuracy, other machines or weights."
)
SEEDED_ANSWERS = (
    "seeded weights may overflow in a lower precision, so different predictions alone do not mean that the machine is faulty"
)
_GOLDEN_DIFFER = "[golden-logits-differ]"


def evidence_lines(verification: EvidenceVerification) -> Iterator[str]:
    """Yield whether the record is intact, its signer, and its claims."""
    signatures = {
        "none": "unsigned",
        "unchecked": "signed, signature not checked",
        "intact": f"signed by the key {verification.key}",
        "good": f"signed by {verification.signer}",
    }
    yield f"{verification.path}: unchanged, SHA-256 {verification.record.sha256}; {signatures[verification.signature]}"
    yield from record_lines(verification.record)


def record_lines(record: EvidenceRecord) -> Iterator[str]:
    """Yield the machine, its conditions, each network with its kits, skipped networks, and the limits."""
    how = "measured on" if record.environment.timed else "EMULATED (times of the emulator only) on"
    networks = counted(len(record.networks), "network")
    by = f"in {duration_text(record.seconds)}, by edgecnn {record.version}"
    yield f"  claims: {networks} {how} {record.machine}, {record.measured_at}, {by}"
    yield f"  as {record.device_title} ({record.device}; its device file has the SHA-256 {record.device_sha256[:16]}…)"
    conditions, observed = record.environment.conditions, record.environment.observed
    yield "  conditions: " + "; ".join(
        f"{name} {conditions.get(name, 'not read')}" for name in _CONDITIONS if name in conditions or name in _EVERY_MACHINE_HAS
    )
    observed_text = "; ".join(f"{name} {observed[name]}" for name in _OBSERVED if name in observed)
    yield from ([f"  observed: {observed_text}"] if observed_text else [])
    for network in record.networks:
        yield from _network_lines(network, record.measured_at)
    yield from (f"  skipped: {line}" for line in lines_by_reason(record.left_out))
    yield from (f"  warning when measured: {warning}" for warning in record.warnings)
    yield f"  {LIMITS}"


def _network_lines(network: EvidenceNetwork, measured_at: str) -> Iterator[str]:
    weights = network.weights
    licence = f", {weights.licence}" if weights.licence else ""
    size = f"{network.parameters:,} parameters, {figures.multiply_adds(network.macs)} multiply-adds"
    yield f"  {network.arch} at {network.resolution_px} px, {size}; weights {weights.origin}: {weights.what}{licence}"
    yield from (f"    {_kit_line(kit, measured_at)}" for kit in network.kits)
    yield from (f"    no figures for {line}" for line in lines_by_reason(network.failed))
    if weights.origin == "seeded" and any(_GOLDEN_DIFFER in why for why in network.failed.values()):
        yield f"    {SEEDED_ANSWERS}"


def _kit_line(kit: EvidenceKit, measured_at: str) -> str:
    latency, adapter = kit.latency, kit.environment.conditions.get("webgpu_adapter")
    times = figures.percentiles(latency, (MEDIAN, PERCENTILES[-1]))
    parts = [
        f"{', '.join(times)} ms" if times else "time not known",
        *([f"{figures.milliseconds(latency.on_gpu_ms)} ms by the GPU's clock"] if latency.on_gpu_ms else []),
        *(
            f"{figure.images_per_s.estimate:,.0f} images/s with {figure.batch} images a call"
            for figure in (kit.throughput.figures if kit.throughput else ())
            if figure.images_per_s is not None
        ),
        f"{runs_text(latency)}, {latency.fidelity.value}"
        + ("" if latency.observed_at[:10] == measured_at[:10] else f" {latency.observed_at}"),
        *([latency.reason] if latency.reason else []),
        *([latency.disturbed] if latency.disturbed else []),
        *([latency.steady.unsteady] if latency.steady and latency.steady.unsteady else []),
        f"{kit.candidate.runtime.value} {kit.runtime_version}" + (f" on {adapter}" if adapter else ""),
        f"{kit.size_mib:.1f} MiB",
        mac_share_text(kit.residency) if kit.residency else "executed precision not known",
    ]
    return f"{kit.candidate.id}: {'; '.join(parts)}"
