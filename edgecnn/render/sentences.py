"""Sentences about a build: its result, its gates, and each candidate's figures with their intervals or the reason for none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from edgecnn.errors.base import ExitCode
from edgecnn.errors.wording import bound_text, counted, listed, plural
from edgecnn.judging.gates import bound_of, bound_parts, bounds_of, exit_code_of
from edgecnn.judging.judgement import learned_result
from edgecnn.judging.latency import TAILS
from edgecnn.judging.metrics import LATENCY_RATIO, METRICS, SHOWN, charted
from edgecnn.judging.resolution import two_digits
from edgecnn.render import figures
from edgecnn.render.wording import lines_by_reason, names_by_reason
from edgecnn.results.explain import NextStep, Purpose
from edgecnn.runner.text import unlearned_text
from edgecnn.values.candidate import KnobTrial, Precision
from edgecnn.values.figures import Energy, Memory, Throughput
from edgecnn.values.layers import Residency
from edgecnn.values.profile import DatedReference
from edgecnn.values.recipe import GateChoice
from edgecnn.values.report import BuildReport, CandidateFacts, Choice, Comparison, EndToEnd, Latency
from edgecnn.values.verdict import CHANCE, Fidelity, Gate, GateOrigin, GateResult, Verdict

Named = Callable[[str], str]
"""Function that formats a candidate's name: ``backticked`` for Markdown, ``str`` for a page."""


def backticked(name: str) -> str:
    """Return a name as a code span of Markdown."""
    return f"`{name}`"


def latency_lines(candidates: Iterable[CandidateFacts]) -> list[str]:
    """Return two lines for each raced candidate: its times, and how its runs went."""
    lines = []
    for facts in candidates:
        latency = facts.latency
        if latency is None or not latency.runs:
            continue
        name, steady = f"`{facts.candidate.id}`", latency.steady.says if latency.steady else None
        lines.append(f"{name} in {figures.race_name(latency)}: {_times_text(facts, latency)}")
        notes = [note for note in (latency.run_settings, latency.stopped, latency.dependent.get("p50_ms"), steady) if note]
        lines += [f"runs of {name}: {'; '.join(notes)}"] if notes else []
    return lines


def _times_text(facts: CandidateFacts, value: Latency) -> str:
    times = [metric for metric in SHOWN.values() if metric.source == "latency" and metric.unit == "ms"]
    shown = [f"{metric.words} {figures.milliseconds(figure)}" for metric in times if (figure := metric.value(facts)) is not None]
    absent = names_by_reason({metric.words: value.absent[metric.name] for metric in times if metric.name in value.absent})
    parts = [", ".join(shown) + " ms"] if shown else []
    parts += [f"unknown: {names} ({why})" for why, names in absent.items()]
    return "; ".join(parts) or value.reason or "nothing ran"


def extent_lines(candidates: Iterable[CandidateFacts]) -> list[str]:
    """Return a line for each figure that only an option measures: throughput, end-to-end latency, sustained load."""
    lines = []
    for facts in candidates:
        name = f"`{facts.candidate.id}`"
        lines += [f"throughput of {name}: {_throughput_text(facts.throughput)}"] if facts.throughput else []
        lines += [f"end-to-end latency of {name}: {_end_to_end_text(facts.end_to_end)}"] if facts.end_to_end else []
        if (soak := facts.sustained) is not None:
            windows = (figures.NONE if window.p50_ms is None else f"{window.p50_ms:.2f}" for window in soak.windows)
            lines.append(f"sustained load on {name}: {soak.says}; p50 by window: {', '.join(windows)} ms")
    return lines


def _throughput_text(value: Throughput) -> str:
    parts = []
    for figure in value.figures:
        images = f"{counted(figure.batch, 'image')} per call" + (", the best" if figure.best else "")
        call = f" ({figures.milliseconds(figure.call_ms)} ms per call)" if figure.call_ms else ""
        rate = figure.images_per_s
        known = None if rate is None else f"{figures.number(rate, 1)} images/s with {images}{call}"
        parts.append(known or f"unknown with {images}: {figure.reason}")
    parts += [f"unknown: {value.reason}"] if value.reason else []
    parts += [value.disturbed] if value.disturbed else []
    screened = ", ".join(f"{batch}: {rate:.0f}" for batch, rate in value.screened.items())
    parts += [f"images/s in one run at each batch size: {screened}"] if screened else []
    return "; ".join(parts)


def _end_to_end_text(value: EndToEnd) -> str:
    span = f"from the image file ({value.picture}) to logits"
    latency = value.latency
    if latency.p50_ms is None:
        return f"unknown: {latency.reason}"
    tails = figures.percentiles(latency, list(TAILS.values()))
    besides = f"; {latency.disturbed}" if latency.disturbed else ""
    return ", ".join([f"p50 {figures.p50(latency)}", *tails]) + f" ms, {span}{besides}"


def size_lines(candidates: Sequence[CandidateFacts], carried: Sequence[str], named: Named = backticked) -> list[str]:
    """Return the size of each kit, and of the bundle with the kits that it carries."""
    kit_sizes = {facts.candidate.id: facts.kit_mib for facts in candidates if facts.kit_mib is not None}
    lines = [
        f"size of {named(facts.candidate.id)}: model {facts.size_mib:.1f} MiB, kit {facts.kit_mib:.1f} MiB"
        for facts in candidates
        if facts.size_mib is not None and facts.kit_mib is not None
    ]
    if carried and all(name in kit_sizes for name in carried):
        lines.append(f"size of the bundle: {sum(kit_sizes[name] for name in carried):.1f} MiB, {counted(len(carried), 'kit')}")
    return lines


def footprint_lines(candidates: Iterable[CandidateFacts]) -> list[str]:
    """Return the memory and energy of each candidate; candidates without a figure for the same reason share a line."""
    rows = list(candidates)
    memory = {f"`{facts.candidate.id}`": _memory_text(facts.memory) for facts in rows if facts.memory is not None}
    energy = {f"`{facts.candidate.id}`": energy_text(facts.energy) for facts in rows if facts.energy is not None}
    lines = [
        f"{metric.words} of `{facts.candidate.id}`: {figures.metric_text(metric, figure)} {metric.signs}"
        for metric in charted("size", "memory", "energy", "residency")
        for facts in rows
        if (figure := metric.value(facts)) is not None
    ]
    return [
        *(f"memory of {line}" for line in lines_by_reason(memory)),
        *(f"energy of {line}" for line in lines_by_reason(energy)),
        *lines,
    ]


def _memory_text(value: Memory) -> str:
    if value.peak_mib is None or value.baseline_mib is None or value.above_baseline_mib is None:
        return f"unknown: {value.reason or 'not measured'}"
    own = (
        f"{figures.number(value.above_baseline_mib, 1)} MiB above the {value.baseline_mib.estimate:.1f} MiB of the runtime alone"
    )
    gpu = f"; {figures.number(value.gpu_mib, 1)} MiB of GPU memory" if value.gpu_mib else ""
    unknown = f"; GPU memory unknown: {value.gpu_reason}" if value.gpu_reason and not value.gpu_mib else ""
    return f"peak {figures.number(value.peak_mib, 1)} MiB, {own}{gpu}{unknown}"


def energy_text(value: Energy) -> str:
    """Return the energy with its interval, its meter and the parts that the meter covers; or why there is no figure."""
    if value.total_mj is None or value.above_idle_mj is None or value.idle_w is None:
        return f"unknown: {value.reason or 'not measured'}"
    above = f"of which {figures.number(value.above_idle_mj, 2)} mJ above idle ({figures.number(value.idle_w, 2)} W)"
    besides = "".join(f"; {why}" for why in (value.disturbed, value.dependent) if why)
    return f"{figures.number(value.total_mj, 2)} mJ per image, {above}; {value.meter} measures {value.covers}{besides}"


def knob_lines(choice: Choice, named: Named = backticked) -> list[str]:
    """Return the settings that the chosen kit runs with, and a line for each raced setting; nothing if none was raced."""
    knobs = choice.knobs
    if knobs is None:
        return []
    raced = sum(trial.ratio is not None for trial in knobs.trials)
    settings = counted(raced, "other setting")
    how = f"; speeds are relative to the default setting, estimated in a race with {settings}" if raced else ""
    return [f"{named(knobs.candidate)} runs with {knobs.knobs.words}{how}", *map(_trial_text, knobs.trials)]


def _trial_text(trial: KnobTrial) -> str:
    words = trial.knobs.words
    if trial.ratio is None:
        outcome = "not usable" if trial.outcome == "unusable" else "not shown to be faster"
        return f"{words}: {outcome}: {trial.why}"
    speed = f"{trial.ratio.estimate:.2f} × as fast"
    return {
        "taken": f"{words}: {speed}, used",
        "faster": f"{words}: {speed}, but the setting in use is estimated to be faster",
        "disturbed": f"{words}: {speed}, but not used: {trial.why}",
        "not-shown": f"{words}: {speed}, not shown to be faster",
        "unusable": f"{words}: {speed}, but not usable: {trial.why}",
    }[trial.outcome]


_MOST = 0.5
_BASIS = {
    "executed": "executed",
    "elsewhere": "executed on another machine, whose kernels may differ from the device's",
    "planned": "planned by the engine builder, not executed",
}
_OTHER_WORK = {"overhead": "in conversions and copies", "unknown": "in a precision that the runtime does not report"}


def residency_lines(candidates: Iterable[CandidateFacts]) -> list[str]:
    """Return a line for each traced candidate: its shares, the largest first."""
    return [
        f"`{facts.candidate.id}`: {residency_text(facts.residency)}"
        for facts in candidates
        if facts.residency is not None and facts.residency.mac_share
    ]


def mac_share_text(residency: Residency) -> str:
    """Return the shares of multiply-adds by precision, and their source."""
    return f"{_BASIS[residency.basis]}: multiply-adds {_shares_text(residency.mac_share) if residency.mac_share else 'unknown'}"


def residency_text(residency: Residency) -> str:
    """Return the shares of multiply-adds, of time inside layers and of bytes moved by precision; or why a share is unknown."""
    time = f"{_shares_text(residency.time_share)} (one traced process)" if residency.time_share is not None else "unknown"
    moved = "bytes moved unknown" + (f": {residency.bytes_absent}" if residency.bytes_absent else "")
    if residency.byte_share is not None and residency.moved_bytes is not None:
        moved = f"{residency.moved_bytes / 2**20:.1f} MiB moved, {_shares_text(residency.byte_share)} (counted from shapes)"
    return f"{mac_share_text(residency)}; time inside layers {time}; {moved}"


def partial_precision_lines(candidates: Iterable[CandidateFacts]) -> list[str]:
    """Return a line for each candidate that multiplies mostly in its precision, but spends most time or bytes in others.

    The layers of an INT8 network may multiply in INT8 and pass floats to each other. An fp32 candidate never has a line.
    """
    lines = []
    for facts in candidates:
        residency, precision = facts.residency, facts.candidate.precision.value
        if residency is None or residency.basis == "planned" or facts.candidate.precision is Precision.FP32:
            continue
        if residency.mac_share.get(precision, 0.0) < _MOST:
            continue
        known = {"the time": residency.time_share, "the bytes moved": residency.byte_share}
        less = {
            what: shares.get(precision, 0.0)
            for what, shares in known.items()
            if shares is not None and shares.get(precision, 0.0) < _MOST
        }
        if less:
            rest = " and ".join(f"{figures.whole_share(share)} of {what}" for what, share in less.items())
            macs = figures.whole_share(residency.mac_share[precision])
            others = {name: share for name, share in (residency.time_share or {}).items() if name != precision}
            largest = f" (the rest of the time: {_shares_text(others)})" if "the time" in less and others else ""
            lines.append(f"{facts.candidate.id}: {macs} of the multiply-adds ran in {precision}, but only {rest}{largest}")
    return lines


def _shares_text(shares: Mapping[str, float]) -> str:
    """Return the shares above 0, the largest first."""
    ranked = sorted((item for item in shares.items() if item[1] > 0), key=lambda item: (-item[1], item[0]))
    texts = {name: "<0.1 %" if share < figures.LEAST_SHOWN else figures.whole_share(share) for name, share in ranked}
    return ", ".join(f"{share} {_OTHER_WORK.get(name, f'in {name}')}" for name, share in texts.items())


REFERENCES = "Measurements from other days, not of this build; they do not count towards any gate"


def reference_lines(references: Iterable[DatedReference], named: Named = backticked) -> list[str]:
    """Return a line for each reference: its times, the machine and date of the measurement, and the signer."""
    lines = []
    for reference in references:
        classes = counted(reference.classes, "class", "classes")
        parts = [
            f"{', '.join(figures.percentiles(reference))} ms",
            f"{reference.fidelity.value} on {reference.machine}, {reference.observed_at}, {runs_text(reference)}",
            f"{reference.weights} weights, {classes}, runtime {reference.runtime_version}",
            *(note for note in (reference.disturbed, reference.unsteady) if note),
            f"signed by {reference.signed_by}" if reference.signed_by else "unsigned",
        ]
        lines.append(f"{named(reference.candidate)}: {'; '.join(parts)}")
    return lines


def runs_text(measured: Latency | DatedReference) -> str:
    """``8 runs (4 threads)``, or ``8 runs`` if the threads are unknown."""
    return counted(measured.runs, "run") + (f" ({measured.run_settings})" if measured.run_settings else "")


_DIFFERENCES = ("drop_pp", "map_drop_pp", "worst_class_drop_pp")


_DECIDED = {
    Verdict.PASS: "meets {}",
    Verdict.FAIL: "breaks {}",
    Verdict.UNSURE: "leaves {} open",
    Verdict.MISSING: "was not measured for {}",
}


def verdict_reason(verdict: Verdict, gates: Sequence[GateResult]) -> str | None:
    """``onnxruntime-fp32 breaks size_mib ≤ 3``: the gates that decide the verdict; None if no gate decides it."""
    deciding = [result for result in gates if result.verdict is verdict]
    if not deciding:
        return None
    bounds = [bound_of(result.gate) for result in deciding if result.gate.stated_by != CHANCE]
    clauses = ["is not shown to have learned"] if len(bounds) < len(deciding) else []
    clauses += [_DECIDED[verdict].format(listed(bounds))] if bounds else []
    return f"{deciding[0].candidate} {' and '.join(clauses)}"


def learned_lines(gates: Sequence[GateResult]) -> list[str]:
    """Return the warning that begins every text about these gates, if their network is not shown to have learned."""
    unlearned = learned_result(gates)
    if unlearned is None or unlearned.figure is None:
        return []
    text = unlearned_text(unlearned.candidate, unlearned.gate.metric, unlearned.figure.estimate, unlearned.gate.bound)
    return [f"{unlearned.verdict.value}: {text}"]


def result_line(report: BuildReport) -> str:
    """``PASS: openvino-int8 meets drop_pp ≤ 1``: the result of a build, with what would settle an UNSURE one."""
    chosen = report.shipped
    answered = None if chosen is None else chosen.answered
    line = judged_line(report.verdict, report.gates, None if answered is None else answered.images)
    if line is None:
        return f"{report.verdict.value}: {report.choice.why}"
    away = report.verdict is Verdict.PASS and not report.build.device_attached
    timed = chosen is not None and chosen.latency is not None and chosen.latency.p50_ms is not None
    return f"{line}; its latency on {report.build.device} was not measured" if away and not timed else line


def judged_line(verdict: Verdict, gates: Sequence[GateResult], images: int | None = None) -> str | None:
    """Return the verdict of a candidate's gates in one sentence; None if no gate decides it.

    ``images``: number of test images; None if unknown.
    """
    if lines := learned_lines(gates):
        return lines[0]
    reason = _unsure_reason(gates, images) if verdict is Verdict.UNSURE else None
    reason = reason or verdict_reason(verdict, gates)
    if reason is None:
        return None
    if verdict is Verdict.MISSING:
        return f"MISSING: {_missing_reason(reason, gates)}"
    missing = unmeasured_note(verdict, gates)
    return f"{verdict.value}: {reason}" + (f", but {missing}" if missing else "")


def _missing_reason(reason: str, gates: Sequence[GateResult]) -> str:
    """Add the cause of the first missing figure, and the gates that failed."""
    cause = next(result.reason for result in gates if result.verdict is Verdict.MISSING)
    failed = [bound_of(result.gate) for result in gates if result.verdict is Verdict.FAIL]
    return f"{reason} ({cause})" + (f"; it also fails {listed(failed)}" if failed else "")


_LOST = {"drop_pp": "top-1", "map_drop_pp": "mAP"}


def _unsure_reason(gates: Sequence[GateResult], images: int | None) -> str | None:
    """Return what would decide an open gate: more images, more rounds of a race, or nothing known."""
    open_gates = [result for result in gates if result.verdict is Verdict.UNSURE]
    if not open_gates:
        return None
    result = settled_by_number(gates) or open_gates[0]
    gate, there = result.gate, "" if images is None else f" ({images:,})"
    question = f"{result.candidate} meets {bound_of(gate)}"
    if gate.metric in _LOST:
        question = f"{result.candidate} loses more than {gate.bound:g} pp of {_LOST[gate.metric]}"
    if (needed := result.images_to_settle) is not None:
        return f"not enough test images{there} to tell whether {question}; about {two_digits(needed):,} new ones would be enough"
    if (rounds := result.rounds_to_settle) is not None:
        return f"the race was too short to tell whether {question}; about {counted(rounds, 'round')} would be enough"
    return f"the measurements cannot tell whether {question}"


def settled_by_number(gates: Sequence[GateResult]) -> GateResult | None:
    """Return the first open gate that a known number of images or rounds would settle. The result line names this gate."""
    numbered = (result for result in gates if (result.images_to_settle or result.rounds_to_settle) is not None)
    return next((result for result in numbered if result.verdict is Verdict.UNSURE), None)


_NEXT: Mapping[Purpose, str] = {
    "explain": "see the reasons and figures of every candidate",
    "improve": "improve the weak result (other remedies: docs/improve-a-weak-result.md)",
    "measure": "measure it on {device}",
    "race-again": "race again while no other program runs",
    "settle": "settle the open gate",
    "more-images": "add test images, then build again",
    "predict": "classify one of your images",
    "carry": "pack the bundle for {device}, because its kit does not run on this machine; its README.md has the commands",
}


def next_purpose(step: NextStep, device: str) -> str:
    """Return the purpose of the next command for the user. ``device``: the device of the build."""
    return _NEXT[step.purpose].format(device=device)


def unmeasured_note(verdict: Verdict, gates: Sequence[GateResult]) -> str | None:
    """``1 of 2 gates was not measured``: the open gates of a PASS; None if there are none, or for another verdict."""
    missing = sum(result.verdict is Verdict.MISSING for result in gates)
    if not missing or verdict is not Verdict.PASS:
        return None
    return f"{missing} of {counted(len(gates), 'gate')} {plural(missing, 'was', 'were')} not measured"


def gate_reason(result: GateResult, *, require_measured: bool = False) -> str:
    """Return why a gate has its verdict, and whether the exit code ignores a missing figure."""
    ignored = exit_code_of((result,), require_measured=require_measured) is ExitCode.OK
    missing = result.verdict is Verdict.MISSING and ignored
    return f"{result.reason}; this does not stop the job unless you pass --require-measured" if missing else result.reason


def gate_line(result: GateResult, *, require_measured: bool = False) -> str:
    """``gate max drop_pp 1: PASS, size 3 MiB meets …``."""
    gate, reason = result.gate, gate_reason(result, require_measured=require_measured)
    if gate.stated_by == CHANCE:
        return f"gate chance: {result.verdict.value}, {reason}"
    return f"gate {gate_name(gate)}: {result.verdict.value}, {reason}"


def gate_name(gate: Gate) -> str:
    """Return ``max drop_pp 1``, in the unit in which the bound was stated."""
    side, metric, bound = gate.stated
    return f"{side} {metric} {bound:g}"


_ORIGIN: Mapping[GateOrigin, str] = {
    "default": "default",
    "recipe": "recipe",
    "build": "build",
    "command line": "command line",
    "chance": "chance level",
}


def gate_origin(gate: Gate) -> str:
    """``recipe``, or ``command line, which replaces size_mib ≤ 20 from the recipe``."""
    before = gate.replaces
    if before is None:
        return _ORIGIN[gate.stated_by]
    replaced = f"which replaces {bound_text(before.side, before.metric, before.bound)} from the {_ORIGIN[before.stated_by]}"
    return f"{_ORIGIN[gate.stated_by]}, {replaced}"


def stated_gates_lines(gates: Sequence[GateResult], dropped: GateChoice | None = None) -> list[str]:
    """Return one line with the origin of each stated gate, and one with the bounds of the earlier build that no longer apply.

    Return nothing for the default gate alone.
    """
    stated = [f"{bound_of(result.gate)} ({gate_origin(result.gate)})" for result in gates if result.gate.is_stated]
    return [*([f"gates: {'; '.join(stated)}"] if stated else []), *dropped_lines([dropped] if dropped else [])]


def dropped_lines(bounds: Iterable[GateChoice]) -> list[str]:
    """Return one line for each different set of bounds that builds no longer judge."""
    lines = list[str]()
    for dropped in bounds:
        if dropped:
            names = [bound_text(*bound) for bound in bounds_of(dropped)]
            names += ["--require-measured"] if dropped.require_measured else []
            options = " ".join(word for part in bound_parts(dropped) for word in part)
            lines.append(f"no longer judged: {listed(names)}, from an earlier command line; to judge again, add {options}")
    return list(dict.fromkeys(lines))


def not_judged_line(comparison: Comparison) -> str | None:
    """Return which gates of HEAD's build the comparison does not judge; None if there are none."""
    if not comparison.not_judged:
        return None
    bounds = listed([bound_of(gate) for gate in comparison.not_judged])
    return f"not judged in this comparison: {bounds} of HEAD's build; `edgecnn judge` without --against judges the build"


def gate_lines(gates: Sequence[GateResult], *, require_measured: bool = False) -> list[str]:
    """Return a line for each gate, then their error rates."""
    lines, rates = [gate_line(result, require_measured=require_measured) for result in gates], error_rates(gates)
    return [*lines, *([] if rates is None else [rates])]


def error_rates(gates: Iterable[GateResult]) -> str | None:
    """Return α and margin of every gate that had a figure, in a sentence; None if no gate had one.

    α is the probability that one bound of the interval is on the wrong side of the truth, so that PASS or FAIL is wrong. The
    margin is the difference that a gate allows. Counted figures such as sizes have no α. Neither has the largest of several
    runs, or a share of one run's time. The reason of a ratio of two builds already has both values.
    """
    rates = [
        f"{result.gate.stated.metric}: {_error_rate(result)}"
        + (f", margin {result.gate.bound:g} pp" if result.gate.metric in _DIFFERENCES else "")
        for result in gates
        if result.figure is not None and result.gate.metric != LATENCY_RATIO
    ]
    head = "one-sided test of" if len(rates) == 1 else "one-sided tests:"
    return f"{head} {'; '.join(rates)}" if rates else None


def _error_rate(result: GateResult) -> str:
    source = METRICS[result.gate.metric].source
    if result.fidelity is Fidelity.DEFINED:
        return "holds by definition, so no error rate"
    if source == "memory":
        runs = f"{result.largest_of} runs" if result.largest_of else "its runs"
        return f"the largest of {runs}, so no error rate"
    if source == "residency":
        return "from one traced run, so no error rate" if result.gate.metric == "int8_time_share" else "counted, so no error rate"
    if source == "size" or result.figure is None:
        return "exact, so no error rate"
    raced = " for the machine's state in this race" if source == "latency" else ""
    return f"error rate (α) {100 * (1 - result.figure.confidence) / 2:.3g} %{raced}"
