"""What networks of a search take on a device without a latency table: forecasts from public tables, which are marked everywhere.

What ships by them is provisional, as by any table of a device that is away.
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
from edgecnn.forecast.records import MeasuredTime
from edgecnn.measure.lab import Lab
from edgecnn.values.candidate import Candidate
from edgecnn.values.device import Device
from edgecnn.values.fit import Probe, TableUsed
from edgecnn.values.forecast import Forecast, NoForecast
from edgecnn.values.stage import digest_of

KNOWN = ("mobilenet-v2", "resnet-50", "efficientnet-b0")
"""By their forecasts it is told whether a candidate has any, and whether tables or method changed since a search was stored."""
_DEVIATIONS = 1.645
"""From the middle of a 90 % interval to its end."""
_WORDS: Mapping[str, bool | set[str]] = {"built": True, "processor": True, "source": {"kind_only"}}
"""What a forecast states of its device, which changes no search."""


class ForecastPredictor:
    """Of one candidate on one device."""

    def __init__(self, device: Device, candidate: Candidate, records: Sequence[MeasuredTime] = ()) -> None:
        self._device, self._candidate, self._options = device, candidate, ForecastOptions(records=records)

    def predict(self, probes: Sequence[Probe]) -> tuple[Prediction | None, ...]:
        """In the order in which they are given; None of a network that public tables say nothing of."""
        return tuple(self._predicted(probe) for probe in probes)

    def answer(self, subject: Subject) -> Forecast | NoForecast:
        """The forecast itself."""
        return forecast(subject, self._device, self._candidate.runtime, self._candidate.precision, self._options)

    def _predicted(self, probe: Probe) -> Prediction | None:
        subject = Subject(probe.name, probe.resolution_px, work_of(counted_of(probe).layers))
        found = self.answer(subject)
        if isinstance(found, NoForecast):
            return None
        spread = math.log(found.p50_ms.high / found.p50_ms.low) / (2 * _DEVIATIONS)
        return Prediction(found.p50_ms, spread, ())


def forecast_prices(device: Device, candidates: Sequence[Candidate], lab: Lab, device_file: str | None = None) -> Priced:
    """Of those candidates that public tables or evidence of the device support. Raises NO_TABLE: they support none."""
    records = measured_times(device, device_file)
    predictors = {each.id: ForecastPredictor(device, each, records) for each in candidates}
    known = {
        name: [found for arch in KNOWN if isinstance(found := predictor.answer(subject_of_arch(arch)), Forecast)]
        for name, predictor in predictors.items()
    }
    supported = {name: found for name, found in known.items() if found}
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
    for each in candidates:
        if each.id not in supported:
            lab.tell.note(f"{each.id} is not searched with: no public table supports a forecast of it on {device.name}")
    return Priced(
        used=used,
        predictors={name: predictors[name] for name in supported},
        content=digest_of(
            {name: [row.model_dump(mode="json", exclude=_WORDS) for row in forecasts] for name, forecasts in supported.items()}
        ),
        candidates={each.id: each for each in candidates if each.id in supported},
        environment=lab.environment.conditions,
        fastest={},
    )
