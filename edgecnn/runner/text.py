"""The runner's output for a person: results on standard output, progress, notes and errors on standard error.

A program passes ``--json`` or ``--lease-s`` and gets JSON lines instead; see ``messages``.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

_PROGRESS_EVERY_S = 10.0
"""Interval of progress lines if standard error is not a terminal."""


def visible(text: object) -> str:
    """Return a text without control characters: labels and names of a kit may come from a stranger."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in str(text))


def error_line(facts: Mapping[str, Any]) -> str:
    """Return an error on one line: what happened, the cause, the fix and the reference."""
    because = ": {}".format(facts["because"]) if facts.get("because") else ""
    hint = " — {}".format(facts["hint"]) if facts.get("hint") else ""
    return visible("{}{}{} [{}]".format(facts["what"], because, hint, facts["ref"]))


def write_out(lines: Iterable[str]) -> None:
    """Print result lines. A sign that the terminal's encoding lacks is escaped."""
    _write(sys.stdout, lines)


class Screen:
    """Progress, notes and errors on standard error. On a terminal, progress stays on one line."""

    def __init__(self) -> None:
        self._told_at: Optional[float] = None
        self._width = 0

    def progress(self, what: str, done: int, total: int, unit: str) -> None:
        """Show that ``done`` of ``total`` units are finished."""
        text = "{}: {:,} of {:,} {}".format(what, done, total, unit)
        if sys.stderr.isatty():
            sys.stderr.write("\r" + text.ljust(self._width) + ("\n" if done >= total else ""))
            sys.stderr.flush()
            self._width = 0 if done >= total else len(text)
            return
        now = time.monotonic()
        if self._told_at is None or now - self._told_at >= _PROGRESS_EVERY_S or done >= total:
            self._told_at = now
            self.line(text)

    def line(self, text: str) -> None:
        """Show one line, below any progress."""
        if self._width:
            sys.stderr.write("\n")
            self._width = 0
        _write(sys.stderr, [text])


def _write(stream: Any, lines: Iterable[str]) -> None:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    for line in lines:
        stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()


def result_lines(command: str, result: Mapping[str, Any]) -> List[str]:
    """Return the lines for a command's result."""
    return list(_LINES[command](result))


def _selftest(result: Mapping[str, Any]) -> Iterable[str]:
    test = result["selftest"]
    packages = ", ".join("{} {}".format(name, version) for name, version in test["packages"].items())
    yield "self-test passed"
    yield "  files: {:,} unchanged, {:.1f} MiB".format(test["files"], test["bytes"] / 2**20)
    yield "  packages: {}".format(packages or "none needed")
    yield "  golden images: {}, pixels as recorded; JPEG within {} levels".format(test["golden_pictures"], test["photo_levels"])
    yield "  logits: largest difference {:.3g}, allowed {:.3g}".format(test["logits_difference"], test["logits_allowed"])


def _predict(result: Mapping[str, Any]) -> Iterable[str]:
    for prediction in result["predictions"]:
        shares = ["{} {:.1f} %".format(label["label"], 100 * label["probability"]) for label in prediction["labels"]]
        yield "{}: {}".format(prediction["file"], ", ".join(shares) or "no label reaches its threshold")
    for unreadable in result["unreadable"] if len(result["unreadable"]) > 1 else ():  # the error names a single one
        yield "{}: not classified: {}".format(unreadable["file"], unreadable["because"])


def _measure(result: Mapping[str, Any]) -> Iterable[str]:
    bench = result["bench"]
    built_for = "; the bundle was built for {}".format(bench["device"]) if bench["device"] else ""
    yield "measured on {}{}".format(bench["machine"], built_for)
    for line in _table([_HEADINGS] + [_row(kit) for kit in bench["kits"]]):
        yield line
    yield _legend(bench["kits"])
    for gate in bench["gates"]:
        yield _gate_line(gate)
    for line in _warnings(bench):
        yield line
    yield "runs: {}".format(bench["out"])


_HEADINGS = ("kit", "p50 ms", "p99 ms", "images/s", "runs", "")


def _row(kit: Mapping[str, Any]) -> Tuple[str, ...]:
    p50 = kit["p50_ms"]
    rate = "-" if p50 is None else _span(*(value and 1000.0 / value for value in (p50["middle"], p50["high"], p50["low"])))
    times = [_span(**kit[metric]) if kit[metric] is not None else "-" for metric in ("p50_ms", "p99_ms")]
    return (kit["name"], times[0], times[1], rate, str(kit["runs"]), "chosen" if kit["chosen"] else "")


def _span(middle: float, low: Optional[float], high: Optional[float]) -> str:
    if low is None or high is None:
        return _number(middle)
    return "{} [{}, {}]".format(*map(_number, (middle, low, high)))


def _number(value: float) -> str:
    """Return three significant digits, and all digits of a large number."""
    return "{:.0f}".format(value) if value >= 100 else "{:.3g}".format(value)


def _legend(kits: Sequence[Mapping[str, Any]]) -> str:
    has_interval = any(kit["p50_ms"] is not None and kit["p50_ms"]["low"] is not None for kit in kits)
    few = "too few runs for an interval, which needs 7"
    interval = "in brackets, the 98 % interval of the median over runs" if has_interval else few
    is_short = any(kit[metric] is None for kit in kits for metric in ("p50_ms", "p99_ms"))
    short = "; -: too few inferences in a run (p50 needs 20, p99 1,000)" if is_short else ""
    return "one image in each call, without decoding; {}{}".format(interval, short)


def _gate_line(gate: Mapping[str, Any]) -> str:
    has_rate = gate["metric"] == "p50_ms" and gate["bound"] > 0
    rate = ", at least {} images/s".format(_number(1000.0 / gate["bound"])) if has_rate else ""
    return "gate {} at most {:g}{}: {}".format(gate["metric"], gate["bound"], rate, _outcome(gate))


def _outcome(gate: Mapping[str, Any]) -> str:
    if gate["outcome"] == "elsewhere":
        return "not judged, because this machine is not the device"
    if gate["outcome"] == "disturbed":
        return "open for {} (too slow here, but other work or throttling may be the cause)".format(gate["kit"])
    if gate["outcome"] == "open":
        few = "it needs {0} runs: --rounds {0} --out NEW_FOLDER".format(gate["runs"])
        is_short = gate["measured_runs"] < gate["runs"]
        return "open for {} ({})".format(gate["kit"], few if is_short else "these runs do not decide it")
    return "{} by {}".format("met" if gate["outcome"] == "met" else "NOT met", gate["kit"])


def _warnings(bench: Mapping[str, Any]) -> Iterable[str]:
    kits = sorted(bench["kits"], key=lambda kit: not kit["chosen"])  # the kits have the same network
    busiest = max([kit.get("others_percent", 0.0) for kit in kits])
    slowed = [kit for kit in kits if "throttled_runs" in kit]
    throttled = ["{} of {} runs of {}".format(kit["throttled_runs"], kit["runs"], kit["name"]) for kit in slowed]
    if busiest:
        yield "warning: other programs used up to {:.0f} % of the CPU time, so the times are too long".format(busiest)
    if throttled:
        yield "warning: the machine throttled in {}".format(", ".join(throttled))
    for kit in [kit for kit in kits if "unlearned" in kit][:1]:
        yield "warning: {}".format(unlearned_text(kit["name"], **kit["unlearned"]))


def unlearned_text(name: str, metric: str, accuracy: float, chance: float) -> str:
    """Return that a kit's network is not shown to have learned, with its accuracy and that of guessing."""
    figures = (
        "mAP is {:.1f} %, and a random ranking gets {:.1f} %"
        if metric == "map"
        else "{:.1f} % of the test images are right, and guessing the most frequent class gets {:.1f} %"
    )
    return "{} is not shown to have learned: {}".format(name, figures.format(100 * accuracy, 100 * chance))


def _table(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()


def _facts(result: Mapping[str, Any]) -> Iterable[str]:
    """Return nested facts as indented ``name: value`` lines."""
    for name, value in result.items():
        if isinstance(value, Mapping):
            yield "{}:".format(name)
            for line in _facts(value):
                yield "  {}".format(line)
        elif isinstance(value, (list, tuple)):
            yield "{}: {}".format(name, ", ".join(map(str, value)))
        else:
            yield "{}: {}".format(name, value)


_LINES: Dict[str, Callable[[Mapping[str, Any]], Iterable[str]]] = {
    "selftest": _selftest,
    "predict": _predict,
    "measure": _measure,
    **dict.fromkeys(("info", "golden", "build-engine", "evaluate", "bench", "page"), _facts),
}
