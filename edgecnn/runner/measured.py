"""Figures of a measured bundle: the times of each kit, and whether the build's gates on latency are met."""

from __future__ import annotations

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
    on_device: bool = True,
) -> List[Dict[str, Any]]:
    """Return each gate on a percentile of latency with its ``outcome`` for the chosen kit.

    The outcomes are met, broken, open, disturbed (broken, but something slowed the kit) and elsewhere. If no kit is chosen, the
    fastest one counts. A chosen kit without runs leaves its gates open. ``on_device``: whether this machine is the device for
    which the bundle was built; another machine decides no gate. ``edgecnn bench --runs`` judges the same runs again, and also
    allows for runs that depend on each other.
    """
    timed = [row for row in rows if row["p50_ms"] is not None]
    judged = [row for row in rows if row["chosen"]] or sorted(timed, key=lambda row: float(row["p50_ms"]["middle"]))
    known = [gate for gate in gates if gate.metric in PERCENTILES and gate.side == "max"] if judged else []
    measured = runs.get(judged[0]["name"]) if judged else None
    return [
        dict(
            gate._asdict(),
            kit=judged[0]["name"],
            measured_runs=measured.count if measured else 0,
            outcome=_outcome(gate, measured) if on_device else "elsewhere",
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
        was_slowed = runs.others_percent > OTHERS_PERCENT_MAX or 2 * runs.throttled >= runs.count
        return "disturbed" if was_slowed else "broken"
    within: Optional[float] = figure.high
    if gate.metric != "p50_ms":  # the middle run says little about a tail
        within = share_below(runs.values_ms(gate.metric))
    return "met" if within is not None and within <= gate.bound else "open"


def machine_name(environment: Mapping[str, Any]) -> str:
    """Return the name of the board, else of the processor, else ``this machine``."""
    names = environment.get("observed", {}).get("model"), environment.get("conditions", {}).get("cpu")
    return str(next(filter(None, names), "this machine"))


_ARCHITECTURES = {"AMD64": "x86_64", "arm64": "aarch64"}
"""Names of Windows and macOS for the architectures of Linux."""


def is_device(built_for: Mapping[str, str], environment: Mapping[str, Any]) -> bool:
    """Whether this machine may be the device for which a bundle was built.

    It is not, if the architecture differs, or if it states the names of its parts and none is the device's.

    Args:
        built_for: see ``choice.built_for``.
        environment: see ``read_environment``.
    """
    observed = environment["observed"]
    architecture = _ARCHITECTURES.get(observed["architecture"], observed["architecture"])
    if built_for.get("architecture", architecture) != architecture:
        return False
    models = [model for name in ("model", "gpu") for model in observed.get(name, "").split("; ") if model]
    names = models + [environment["conditions"].get("cpu", "").partition(" (")[0]]
    contained, whole = built_for.get("model_contains"), built_for.get("model_is")
    is_named = (contained is None or any(contained in name for name in names)) and (whole is None or whole in names)
    return is_named or not models
