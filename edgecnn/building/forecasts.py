"""Forecasts of a build's candidates on a device that is away. What is attached is measured, and has none."""

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

_PLAIN = (Method.FLOAT, Method.POST_TRAINING, Method.AWARE_TRAINING)
"""Candidates whose arithmetic is that of a table. Quantization-aware training changes weights and no layer."""


class CandidateForecasts(NamedTuple):
    """What is predicted of the candidates of one build."""

    by_candidate: Mapping[str, Forecast] = {}
    absent: Mapping[str, str] = {}
    """Candidate to why it has none."""


def planned_forecasts(resolved: Resolved) -> CandidateForecasts:
    """Before anything is made: of a row of the catalogue at its own resolution. Anything else is counted when it is exported."""
    if resolved.attachment.attached:
        return CandidateForecasts()
    network = _row(resolved)
    if network is None:
        why = f"the work of {resolved.arch.name} at this resolution is counted when it is exported"
        return CandidateForecasts(absent=dict.fromkeys((candidate.id for candidate in resolved.candidates), why))
    return _forecasts(network, resolved, resolved.candidates)


def built_forecasts(subject: Subject) -> CandidateForecasts:
    """Of the row of the catalogue, or of the network as it was exported or adopted. A bundle alone has none."""
    if subject.about is None or subject.attached:
        return CandidateForecasts()
    resolved = subject.about
    network = _row(resolved)
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
    """Why nothing is predicted of a device that is away, where no candidate has a forecast."""
    predicted = built_forecasts(subject)
    if predicted.by_candidate or not predicted.absent:
        return ()
    return (f"no forecast of latency: {'; '.join(dict.fromkeys(predicted.absent.values()))}",)


def _row(resolved: Resolved) -> Network | None:
    """The row of the catalogue that the build is of, if its work is counted."""
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
        if forecast is not None and candidate.surgery is None and candidate.method in _PLAIN:
            by_candidate[candidate.id] = _noting_threads(forecast, resolved.device.processor.cores)
        else:
            no_precision = (
                f"no public table has {candidate.runtime.value} in {candidate.precision.value} on {resolved.device.name}"
            )
            absent[candidate.id] = reasons.get(candidate.runtime) or reasons.get(None) or no_precision
    return CandidateForecasts(by_candidate, absent)


def _noting_threads(forecast: Forecast, cores: int | None) -> Forecast:
    """A build runs on all cores, a table's fastest run maybe on fewer: then the figure is of something else, and says so."""
    if cores is None or forecast.threads in (None, cores):
        return forecast
    threads = f"with {counted(forecast.threads, 'thread')}; a build uses all {cores} cores"
    return forecast.model_copy(update={"note": f"{forecast.note}; {threads}" if forecast.note else threads})
