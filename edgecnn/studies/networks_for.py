"""Networks for a device inside budgets: published accuracy, counted work and size, and a forecast of latency.

Nothing is measured. A network fits where the whole interval of its forecast does; without a forecast it is named and not counted.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Literal, get_args

from pydantic import Field, PositiveFloat, PositiveInt

from edgecnn.building.dated_records import measured_times
from edgecnn.devices.files import Target, parse_target
from edgecnn.errors.usage import LIST_BUDGET_INVALID
from edgecnn.errors.wording import nearest
from edgecnn.forecast.forecasting import ForecastOptions, forecasts
from edgecnn.forecast.networks import subject_of_arch
from edgecnn.judging.metrics import IMAGES_PER_S, budgets_in_p50, parse_budgets
from edgecnn.models.catalogue import archs_like
from edgecnn.models.weights import held_weights
from edgecnn.planning.complete import stored_weights, tool_versions
from edgecnn.runtimes.registry import offers
from edgecnn.store.store import Store
from edgecnn.values.arch import ArchSpec, Share
from edgecnn.values.base import Value
from edgecnn.values.candidate import Candidate, Precision, Runtime
from edgecnn.values.forecast import Forecast, NoForecast, Why
from edgecnn.values.preprocessing import Resolution

Budget = Literal["p50_ms", "size_mib"]
_BUDGETS: tuple[Budget, ...] = get_args(Budget)
_BYTES = {Precision.FP32: 4, Precision.INT8: 1}
"""Of a parameter; two in the other precisions."""
Answers = Mapping[str, Sequence[Forecast | NoForecast]]
"""Network to what is predicted of it on one device, in every runtime and precision."""


Fits = Literal["yes", "unsure", "no"]
"""unsure: the interval of the forecast holds the bound."""


class NetworkOnDevice(Value):
    """One network in the runtime and precision in which it does best."""

    name: str
    resolution_px: Resolution
    accuracy_top1: Share | None
    """Published, of the float network on ImageNet-1k, 0…1; None where nobody published a figure."""
    weights_here: bool
    """Whether its pretrained weights are on this machine."""
    macs: PositiveInt
    """Multiply-adds for one image."""
    size_mib: PositiveFloat
    """Of its parameters in the precision of the forecast; a kit's files hold a little more."""
    forecast: Forecast
    fits: Fits


class NetworksOnDevice(Value):
    """What is known of networks on one device."""

    device: str
    networks: tuple[NetworkOnDevice, ...]
    """Those with a forecast, by published accuracy."""
    without_forecast: Mapping[str, tuple[str, ...]]
    """Why there is no forecast, to the networks of which there is none: they fit nothing."""

    def of(self, *fits: Fits) -> tuple[NetworkOnDevice, ...]:
        """Those that fit so."""
        return tuple(row for row in self.networks if row.fits in fits)


class NetworksFor(Value):
    """Schema edgecnn.networks-for/1: `edgecnn list archs --target DEVICE --within METRIC=NUMBER --json`."""

    schema_: Literal["edgecnn.networks-for/1"] = Field(default="edgecnn.networks-for/1", alias="schema")
    within: Mapping[Budget, PositiveFloat]
    """Budget to the most that is allowed; images a second are the p50 that they mean."""
    devices: tuple[NetworksOnDevice, ...]


def budgets_of_a_list(texts: Iterable[str]) -> dict[Budget, float]:
    """``p50_ms=50``, ``images_per_s=20`` and ``size_mib=10``, each once. Raises LIST_BUDGET_INVALID: anything else."""
    known = (*_BUDGETS, IMAGES_PER_S)

    def named(name: str, text: str) -> str:
        if name not in known:
            near = IMAGES_PER_S if name == "fps" else nearest(name, known, cutoff=0.4)
            because = f"{name!r} is not a figure of this list" + (f"; the nearest is {near}" if near else "")
            raise LIST_BUDGET_INVALID(text=text, because=because)
        return name

    found = parse_budgets(texts, named, lambda text, because: LIST_BUDGET_INVALID(text=text, because=because))
    if {IMAGES_PER_S, "p50_ms"} <= found.keys():
        raise LIST_BUDGET_INVALID(text=IMAGES_PER_S, because=f"p50_ms is given too, and {IMAGES_PER_S} is the same budget")
    in_ms = budgets_in_p50(found)
    return {name: in_ms[name] for name in _BUDGETS if name in in_ms}


def networks_for(pattern: str, targets: Iterable[str], within: Mapping[Budget, float], store: Store) -> NetworksFor:
    """Networks of the catalogue whose names fit a pattern, on each device.

    Raises UnknownArch, what ``parse_target`` raises, and PUBLIC_TABLE_DAMAGED: a shipped table cannot be read.
    """
    specs, versions = archs_like(pattern), tool_versions()
    subjects = [subject_of_arch(spec.name) for spec in specs]

    here = {
        spec.name for spec in specs if spec.weights and held_weights(spec.weights, cached=stored_weights(spec, store, versions))
    }
    devices = []
    for target in map(parse_target, targets):
        answers = dict[str, list[Forecast | NoForecast]]()
        records = measured_times(target.device)
        for each in forecasts(subjects, target.device, ForecastOptions(records=records)):
            answers.setdefault(each.network, []).append(each)
        devices.append(networks_on(target, specs, within, answers, here))
    return NetworksFor(within=dict(within), devices=tuple(devices))


def networks_on(
    target: Target,
    specs: Sequence[ArchSpec],
    within: Mapping[Budget, float],
    answers: Answers,
    weights_here: Container[str],
) -> NetworksOnDevice:
    """What is published, counted and predicted of networks of the catalogue on one device."""
    device, ways = target.device, _ways(target)
    rows, without = list[NetworkOnDevice](), dict[str, list[str]]()
    for spec in specs:
        forecasts = [each for each in answers[spec.name] if isinstance(each, Forecast) and (each.runtime, each.precision) in ways]
        if not forecasts:
            without.setdefault(_why_none(answers[spec.name], ways), []).append(spec.name)
            continue
        best = min(forecasts, key=lambda each: _rank(spec, each, within))
        rows.append(
            NetworkOnDevice(
                name=spec.name,
                resolution_px=spec.resolution_px,
                accuracy_top1=None if spec.accuracy is None else spec.accuracy.top1,
                weights_here=spec.name in weights_here,
                macs=spec.macs or 0,
                size_mib=round(_size_mib(spec, best.precision), 2),
                forecast=best,
                fits=_fits(spec, best, within),
            )
        )
    rows.sort(key=lambda row: (-(row.accuracy_top1 or 0.0), row.forecast.p50_ms.estimate))
    reasons = {why: tuple(names) for why, names in without.items()}
    return NetworksOnDevice(device=device.name, networks=tuple(rows), without_forecast=reasons)


def _ways(target: Target) -> tuple[tuple[Runtime, Precision], ...]:
    """Runtimes and precisions that a build for the target has candidates of."""
    entries = (entry for runtime in target.device.built_for(target.runtime) for entry in offers(runtime, target.device))
    return tuple(dict.fromkeys((entry.runtime, entry.precision) for entry in entries if isinstance(entry, Candidate)))


def _why_none(answers: Sequence[Forecast | NoForecast], ways: Sequence[tuple[Runtime, Precision]]) -> str:
    """Of the network itself before that of a runtime, since others may have a forecast in that runtime."""
    reasons = [each for each in answers if isinstance(each, NoForecast)]
    reasons.sort(key=lambda each: each.why is not Why.NETWORK_OUTSIDE_SUPPORT)
    if reasons:
        return reasons[0].sentence
    return f"no table has what a build makes: {', '.join(f'{runtime.value} {precision.value}' for runtime, precision in ways)}"


def _rank(spec: ArchSpec, forecast: Forecast, within: Mapping[Budget, float]) -> tuple[int, bool, float]:
    """Those that fit first, of these float before INT8, which loses accuracy; then the fastest."""
    order = get_args(Fits).index(_fits(spec, forecast, within))
    return order, not forecast.precision.is_float, forecast.p50_ms.estimate


def _fits(spec: ArchSpec, forecast: Forecast, within: Mapping[Budget, float]) -> Fits:
    bound_ms, p50_ms = within.get("p50_ms"), forecast.p50_ms
    if _size_mib(spec, forecast.precision) > within.get("size_mib", float("inf")):
        return "no"
    if bound_ms is None or p50_ms.high <= bound_ms:
        return "yes"
    return "unsure" if p50_ms.low <= bound_ms else "no"


def _size_mib(spec: ArchSpec, precision: Precision) -> float:
    return (spec.parameters or 0) * _BYTES.get(precision, 2) / 2**20
