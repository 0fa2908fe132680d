"""A bundle that is used: verified, asked about photographs, served and measured, in words."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from edgecnn.bench.facts import BundleBench
from edgecnn.bundle.manifest import BundleVerification
from edgecnn.bundle.predictions import Predictions, Served
from edgecnn.render import figures
from edgecnn.render.ci import GateSheet
from edgecnn.render.gates import error_rates
from edgecnn.render.terminal import show_lines, show_rows

_NAMED = 5


def verification_lines(found: BundleVerification) -> Iterator[str]:
    """The verdict, who vouches for it, and what was let pass."""
    mib = found.bytes / 2**20
    yield f"{found.path}: whole, {found.files:,} files, {mib:,.1f} MiB, as {found.name} version {found.version} was packed"
    yield f"  kits: {', '.join(found.kits) or 'none'}{f'; {found.chosen} is used' if found.chosen else ''}"
    yield f"  bundle.json: SHA-256 {found.sha256}"
    if found.signature == "good":
        yield f"  signed by {found.signer}"
    if found.remembered is not None:
        yield f"  this machine had accepted version {found.remembered} before"
    if found.made_here:
        more = f" and {len(found.made_here) - _NAMED:,} more" if len(found.made_here) > _NAMED else ""
        yield f"  let pass, and vouched for by nobody: {', '.join(found.made_here[:_NAMED])}{more}"


def warning_lines(found: BundleVerification) -> Iterator[str]:
    """What to know that is no reason to refuse it; for stderr."""
    yield from (f"edgecnn: warning: {warning}" for warning in found.warnings)


COLUMNS = ("photograph", "label", "probability", "then")


def prediction_rows(found: Predictions) -> Iterator[Sequence[str]]:
    """A photograph a row."""
    for each in found.predictions:
        first, *others = each.labels
        yield (
            each.file,
            first.label,
            _percent(first.probability),
            "; ".join(f"{o.label} {_percent(o.probability)}" for o in others),
        )


def prediction_csv(found: Predictions) -> Iterator[str]:
    """``file,rank,label,probability``, a line a label; a comma or a quote in a name is quoted."""
    for row in (("file", "rank", "label", "probability"), *_ranked(found)):
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow(row)
        yield line.getvalue()


def unreadable_lines(found: Predictions) -> Iterator[str]:
    """For stderr: what was left out, by name, and how many of how many."""
    for each in found.unreadable:
        yield f"edgecnn: not read: {each.file}: {each.because}"
    if found.unreadable:
        yield f"edgecnn: {len(found.unreadable):,} of {len(found.unreadable) + len(found.predictions):,} files were not read"


def _ranked(found: Predictions) -> Iterator[Sequence[object]]:
    for each in found.predictions:
        for rank, label in enumerate(each.labels, start=1):
            yield each.file, rank, label.label, f"{label.probability:.6f}"


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def served_facts(url: str, served: Served) -> dict[str, Any]:
    """For ``--json``: one object, as soon as it listens."""
    return {"url": url, **served.model_dump(mode="json")}


def served_lines(url: str, served: Served) -> Iterator[str]:
    """The address first, which is what is looked for."""
    yield url
    yield f"  {served.name} version {served.version}: {served.candidate} answers with {served.classes:,} classes; Ctrl-C ends it"


def doubtful_lines(served: Served) -> Iterator[str]:
    """For stderr, before anybody trusts an answer."""
    yield from (f"edgecnn: warning: {warning}" for warning in served.warnings)


def exposed_lines(address: str, port: int) -> Iterator[str]:
    """For stderr, where others reach it too."""
    yield (
        f"edgecnn: warning: it listens on {address}: whoever reaches port {port} of this machine can use it, "
        "there is no password, and photographs travel unencrypted"
    )


_VERDICTS = {"PASS": "green", "FAIL": "bold red", "UNSURE": "yellow", "MISSING": "yellow"}


def show_bundle_bench(found: BundleBench) -> None:
    """The table of kits, the recorded accuracy where none was measured, gates, and what to know."""
    heads = figures.headings(found.candidates)
    title = f"{found.bundle.name} version {found.bundle.version} on {found.machine}"
    show_rows(tuple(heads.values()), [figures.row(each) for each in found.candidates], title=title, styles=_VERDICTS)
    show_lines([*figures.legend(found.candidates), *bundle_bench_lines(found)])


def bundle_bench_lines(found: BundleBench) -> list[str]:
    """One fact a line."""
    lines = [f"{name}: {_recorded(found, name)}" for name in found.recorded]
    lines += [
        f"gate {each.gate.side} {each.gate.metric} {each.gate.bound:g}: {each.verdict.value}, {each.reason}"
        for each in found.gates
    ]
    lines += [rates] if (rates := error_rates(found.gates)) is not None else []
    lines += [f"note: {notice}" for notice in found.notices]
    return [*(f"  {line}" for line in lines), f"  {found.output}"]


def _recorded(found: BundleBench, name: str) -> str:
    then = found.recorded[name]
    return f"recorded when it was built: top-1 {figures.percent_interval(then.top1)} of {then.images:,} images, on {then.machine}"


def sheet_of_bundle_bench(found: BundleBench, *, require_measured: bool = False) -> GateSheet:
    """The gates of the kit that the bundle uses."""
    return GateSheet(
        title=f"{found.bundle.name} on {found.machine}",
        candidate=found.bundle.chosen or "no candidate",
        verdict=found.verdict,
        why=found.images.said,
        gates=found.gates,
        seconds=found.seconds,
        made_at=found.made_at,
        version=found.version,
        require_measured=require_measured,
        notes=found.notices,
    )
