"""Predicted latency of a search's networks on a device without a latency table: forecasts from public tables, marked as such.

A network chosen from forecasts is provisional, as with the table of any device that is not attached.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from edgecnn.building.dated_records import measured_times
from edgecnn.errors.fit import no_table
from edgecnn.fit.features import counted_of
from edgecnn.fit.predictor import Prediction
from edgecnn.fit.tables import Priced
from edgecnn.forecast.forecasting import ForecastOptions, forecast
from edgecnn.forecast.networks import Subject, subject_of_arch, work_of
from edgecnn.forecast.tables import MeasuredTime
from edgecnn.measure.lab import Lab
from edgecnn.values.candidate import Candidate
from edgecnn.values.device import Device
from edgecnn.values.fit import Probe, TableUsed
from edgecnn.values.forecast import Forecast, NoForecast
from edgecnn.values.stage import digest_of

KNOWN = ("mobilenet-v2", "resnet-50", "efficientnet-b0")
"""Networks whose forecasts show whether a candidate has any, and whether tables or method changed since a stored search."""
_DEVIATIONS = 1.645
"""Standard deviations from the middle of a 90 % interval to its end."""
_WORDS: Mapping[str, bool | set[str]] = {"built": True, "processor": True, "source": {"kind_only"}}
"""Fields of a forecast that have no effect on a search."""


class ForecastPredictor:
    """Predictions of one candidate on one device, from forecasts."""

    def __init__(self, device: Device, candidate: Candidate, records: Sequence[MeasuredTime] = ()) -> None:
        self._device, self._candidate, self._options = device, candidate, ForecastOptions(records=records)

    def predict(self, probes: Sequence[Probe]) -> tuple[Prediction | None, ...]:
        """Predict each network; None if the public tables do not support a forecast."""
        return tuple(self._predicted(probe) for probe in probes)

    def answer(self, subject: Subject) -> Forecast | NoForecast:
        """Return the forecast of a network."""
        return forecast(subject, self._device, self._candidate.runtime, self._candidate.precision, self._options)

    def _predicted(self, probe: Probe) -> Prediction | None:
        subject = Subject(probe.name, probe.resolution_px, work_of(counted_of(probe).layers))
        answer = self.answer(subject)
        if isinstance(answer, NoForecast):
            return None
        spread = math.log(answer.p50_ms.high / answer.p50_ms.low) / (2 * _DEVIATIONS)
        return Prediction(answer.p50_ms, spread, ())


def forecast_prices(device: Device, candidates: Sequence[Candidate], lab: Lab, device_file: str | None = None) -> Priced:
    """Return predictors of the candidates that have forecasts. Raises NO_TABLE: none has."""
    records = measured_times(device, device_file)
    predictors = {candidate.id: ForecastPredictor(device, candidate, records) for candidate in candidates}
    known = {
        name: [answer for arch in KNOWN if isinstance(answer := predictor.answer(subject_of_arch(arch)), Forecast)]
        for name, predictor in predictors.items()
    }
    supported = {name: forecasts for name, forecasts in known.items() if forecasts}
    if not supported:
        raise no_table(device=device.name)
    first = next(iter(supported.values()))[0]
    used = TableUsed(
        file=first.source.title,
        machine=first.source.board,
        observed_at=first.source.date,
        networks=first.source.networks,
        fidelity=first.fidelity,
    )
    for candidate in candidates:
        if candidate.id not in supported:
            lab.tell.note(f"{candidate.id} is excluded from the search: no public table supports a forecast on {device.name}")
    return Priced(
        used=used,
        predictors={name: predictors[name] for name in supported},
        content=digest_of(
            {name: [row.model_dump(mode="json", exclude=_WORDS) for row in forecasts] for name, forecasts in supported.items()}
        ),
        candidates={candidate.id: candidate for candidate in candidates if candidate.id in supported},
        environment=lab.environment.conditions,
        fastest={},
    )
