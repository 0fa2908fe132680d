"""Figures of a measured bundle: the times of each kit, and whether the build's gates on latency are met."""

from __future__ import annotations

import platform
from typing import Any, Dict, List, Mapping, Optional, Sequence

from .choice import StatedGate, unlearned_in
from .runs.figures import OTHERS_PERCENT_MAX, PERCENTILES, RUNS_NEEDED, KitRuns, share_below


def kit_figures(
    runs: Mapping[str, KitRuns], entries: Mapping[str, Mapping[str, Any]], choice: Mapping[str, Any]
) -> List[Dict[str, Any]]:
    """Return the figures of each kit: ``name``, ``chosen``, ``runs``, ``p50_ms`` and ``p99_ms``.

    A percentile has ``middle``, ``low`` and ``high`` (see ``Figure``), or is None. ``unlearned``, ``others_percent`` and
    ``throttled_runs`` are present if a person should be warned.

    Args:
        runs: finished runs by the name of the kit.
        entries: entries of the kits in ``choice.json``.
        choice: the content of ``choice.json``.
    """
    chosen = (choice.get("choice") or {}).get("candidate")
    return [_figures_of(name, runs[name], entries[name], name == chosen) for name in runs]


def _figures_of(name: str, runs: KitRuns, entry: Mapping[str, Any], chosen: bool) -> Dict[str, Any]:
    row = {"name": name, "chosen": chosen, "runs": runs.count}  # type: Dict[str, Any]
    for metric in ("p50_ms", "p99_ms"):
        figure = runs.figure_ms(metric)
        row[metric] = None if figure is None else figure._asdict()
    unlearned = unlearned_in(entry)
    if unlearned is not None:
        row["unlearned"] = unlearned._asdict()
    if runs.others_percent > OTHERS_PERCENT_MAX:
        row["others_percent"] = runs.others_percent
    if runs.throttled:
        row["throttled_runs"] = runs.throttled
    return row


def judged_gates(
    gates: Sequence[StatedGate],
    rows: Sequence[Mapping[str, Any]],
    runs: Mapping[str, KitRuns],
    architecture: Optional[str] = None,
) -> List[Dict[str, Any]]:
    """Return each gate on a percentile of latency with its ``outcome`` for the chosen kit: met, broken, open or elsewhere.

    If no kit is chosen, the fastest one counts. A chosen kit without runs leaves its gates open. ``architecture``: of the device
    for which the bundle was built; another machine decides no gate of the device. ``edgecnn bench --runs`` judges the same runs
    again, and also allows for runs that depend on each other.
    """
    timed = [row for row in rows if row["p50_ms"] is not None]
    judged = [row for row in rows if row["chosen"]] or sorted(timed, key=lambda row: float(row["p50_ms"]["middle"]))
    known = [gate for gate in gates if gate.metric in PERCENTILES and gate.side == "max"] if judged else []
    measured = runs.get(judged[0]["name"]) if judged else None
    is_elsewhere = architecture is not None and architecture != platform.machine()
    return [
        dict(
            gate._asdict(),
            kit=judged[0]["name"],
            measured_runs=measured.count if measured else 0,
            outcome="elsewhere" if is_elsewhere else _outcome(gate, measured),
        )
        for gate in known
    ]


def _outcome(gate: StatedGate, runs: Optional[KitRuns]) -> str:
    if runs is None:
        return "open"
    figure = runs.figure_ms(gate.metric)
    if figure is None or figure.low is None or figure.high is None or runs.count < max(gate.runs, RUNS_NEEDED):
        return "open"
    if figure.low > gate.bound:
        return "broken"
    within: Optional[float] = figure.high
    if gate.metric != "p50_ms":  # the middle run says little about a tail
        within = share_below(runs.values_ms(gate.metric))
    return "met" if within is not None and within <= gate.bound else "open"


def machine_name(environment: Mapping[str, Any]) -> str:
    """Return the name of the board, else of the processor, else ``this machine``."""
    names = environment.get("observed", {}).get("model"), environment.get("conditions", {}).get("cpu")
    return str(next(filter(None, names), "this machine"))
