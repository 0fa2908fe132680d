"""Forecast the latency of a build's candidates on a device that is not attached. An attached device is measured instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from edgecnn.building.dated_records import measured_times
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.wording import counted
from edgecnn.forecast.forecasting import ForecastOptions, forecasts
from edgecnn.forecast.networks import Subject as Network
from edgecnn.forecast.networks import counted_catalogue, subject_of_arch, subject_of_file
from edgecnn.measure.subject import Subject
from edgecnn.values.candidate import TRUNK, Candidate, Method
from edgecnn.values.forecast import Forecast, NoForecast
from edgecnn.values.resolved import Resolved

_METHODS = (Method.FLOAT, Method.POST_TRAINING, Method.AWARE_TRAINING)
"""Methods whose candidates compute as in a table. Quantization-aware training changes weights but no layer."""


class CandidateForecasts(NamedTuple):
    """Forecasts of the candidates of one build."""

    by_candidate: Mapping[str, Forecast] = {}
    absent: Mapping[str, str] = {}
    """Candidate without a forecast to the reason."""


def planned_forecasts(resolved: Resolved) -> CandidateForecasts:
    """Return forecasts before anything is built, for a network of the catalogue at its own resolution.

    The work of any other network is counted when it is exported.
    """
    if resolved.attachment.attached:
        return CandidateForecasts()
    network = _counted_network(resolved)
    if network is None:
        why = f"the work of {resolved.arch.name} at this resolution is counted when it is exported"
        return CandidateForecasts(absent=dict.fromkeys((candidate.id for candidate in resolved.candidates), why))
    return _forecasts(network, resolved, resolved.candidates)


def built_forecasts(subject: Subject) -> CandidateForecasts:
    """Return forecasts of the catalogue's network, or of the exported network. A bundle alone has none."""
    if subject.about is None or subject.attached:
        return CandidateForecasts()
    resolved = subject.about
    network = _counted_network(resolved)
    if network is None:
        counted = subject.graphs.get(TRUNK)
        if counted is None:
            return CandidateForecasts()
        try:
            network = subject_of_file(counted.with_name("model.onnx"))._replace(name=resolved.arch.name)
        except (EdgecnnError, OSError, ValueError) as error:
            why = f"the work of {resolved.arch.name} cannot be counted: {error}"
            return CandidateForecasts(absent=dict.fromkeys((candidate.id for candidate in subject.candidates), why))
    return _forecasts(network, resolved, subject.candidates)


def forecast_notices(subject: Subject) -> tuple[str, ...]:
    """Return why no candidate has a forecast; empty if one has."""
    predicted = built_forecasts(subject)
    if predicted.by_candidate or not predicted.absent:
        return ()
    return (f"no forecast of latency: {'; '.join(dict.fromkeys(predicted.absent.values()))}",)


def _counted_network(resolved: Resolved) -> Network | None:
    """Return the build's network from the catalogue if its work at this resolution is counted, or None."""
    if not resolved.is_catalogue_network or resolved.arch.scale is not None:
        return None
    size = resolved.preprocessing.pixels.crop_px
    counted = counted_catalogue().networks.get(resolved.arch.name)
    return subject_of_arch(resolved.arch.name) if counted is not None and counted.resolution_px == size else None


def _forecasts(network: Network, resolved: Resolved, candidates: Iterable[Candidate]) -> CandidateForecasts:
    try:
        records = measured_times(resolved.device, resolved.device_file)
        answers = forecasts((network,), resolved.device, ForecastOptions(records=records))
    except EdgecnnError as error:
        return CandidateForecasts(absent=dict.fromkeys((candidate.id for candidate in candidates), error.line()))
    by_kind = {(answer.runtime, answer.precision): answer for answer in answers if isinstance(answer, Forecast)}
    reasons = {answer.runtime: answer.sentence for answer in answers if isinstance(answer, NoForecast)}
    by_candidate, absent = dict[str, Forecast](), dict[str, str]()
    for candidate in candidates:
        forecast = by_kind.get((candidate.runtime, candidate.precision))
        if forecast is not None and candidate.surgery is None and candidate.method in _METHODS:
            by_candidate[candidate.id] = _note_threads(forecast, resolved.device.processor.cores)
        else:
            no_precision = (
                f"no public table has {candidate.runtime.value} in {candidate.precision.value} on {resolved.device.name}"
            )
            absent[candidate.id] = reasons.get(candidate.runtime) or reasons.get(None) or no_precision
    return CandidateForecasts(by_candidate, absent)


def _note_threads(forecast: Forecast, cores: int | None) -> Forecast:
    """Add a note if a table's fastest run uses fewer threads than a build, which uses all cores."""
    if cores is None or forecast.threads in (None, cores):
        return forecast
    threads = f"with {counted(forecast.threads, 'thread')}; a build uses all {cores} cores"
    return forecast.model_copy(update={"note": f"{forecast.note}; {threads}" if forecast.note else threads})
