"""The kit that a build for a device that is not attached would ship, and how fast each of its candidates would be.

``list archs``, ``forecast``, ``plan``, ``fit`` and the report of a build all read their forecasts here, so that they agree. An
attached device is measured instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from edgecnn.building.dated_records import OnMachine, dated_order, dated_records, measured_times
from edgecnn.devices.this_machine import local_facts
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.weights import MissingPackage
from edgecnn.errors.wording import counted
from edgecnn.forecast.forecasting import ForecastOptions, Found, forecasts
from edgecnn.forecast.networks import Subject as Network
from edgecnn.forecast.networks import count_arch, counted_catalogue, subject_of_arch, subject_of_file
from edgecnn.judging.choice import KnownSpeeds, provisional_order
from edgecnn.measure.subject import Subject
from edgecnn.planning.candidates import candidates_of
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.runtimes.registry import computes_otherwise, offers
from edgecnn.values.board import LocalFacts
from edgecnn.values.candidate import TRUNK, Candidate, Method, TargetRuntime
from edgecnn.values.device import Device
from edgecnn.values.forecast import ExpectedKit, Forecast, NoForecast, Why
from edgecnn.values.recipe import Objective, Recipe, TargetChoice
from edgecnn.values.resolved import Resolved

_METHODS = (Method.FLOAT, Method.POST_TRAINING, Method.AWARE_TRAINING)
"""Methods whose candidates compute as in a table. Quantization-aware training changes weights but no layer."""


class CandidateForecasts(NamedTuple):
    """Forecasts of the candidates of one build."""

    by_candidate: Mapping[str, Forecast] = {}
    absent: Mapping[str, str] = {}
    """Candidate without a forecast to the reason."""
    outside: str | None = None
    """Why the public tables cannot predict this network, whatever the candidate; None if they can."""


class AwayBuild(NamedTuple):
    """The candidates of a build for a device that is not attached."""

    device: Device
    candidates: Sequence[Candidate]
    """Those that the target may ship."""
    device_file: str | None = None
    objective: Objective = "latency"
    changed: bool = False
    """Whether surgery changes the network that all candidates share, which is then the network to forecast."""


def away_build(device: Device, runtime: TargetRuntime | None, facts: LocalFacts | None = None) -> AwayBuild:
    """Return the candidates of a build with default settings for a target.

    If nothing can be built on this machine, the candidates are those of a machine with all packages.
    """
    recipe = Recipe(target=TargetChoice(device=device.name, runtime=runtime))
    allowed = () if device.facts_only is not None else device.may_ship(runtime)
    try:
        candidates = candidates_of(device, recipe, facts or local_facts())[0] if allowed else ()
    except EdgecnnError:
        entries = (entry for name in device.built_for(runtime) for entry in offers(name, device))
        candidates = tuple(entry for entry in entries if isinstance(entry, Candidate))
    return AwayBuild(device, [candidate for candidate in candidates if candidate.runtime in allowed])


def build_away(resolved: Resolved, candidates: Iterable[Candidate] | None = None) -> AwayBuild:
    """Return the candidates of a resolved build that the target may ship. ``candidates``: None for those of the plan."""
    allowed = resolved.device.may_ship(resolved.recipe.target.runtime)
    return AwayBuild(
        device=resolved.device,
        candidates=[candidate for candidate in candidates or resolved.candidates if candidate.runtime in allowed],
        device_file=resolved.device_file,
        objective=resolved.recipe.choice.objective,
        changed=resolved.recipe.surgery.instead,
    )


def networks_forecasts(networks: Sequence[Network], build: AwayBuild) -> list[CandidateForecasts]:
    """Return the forecasts of each network's candidates. The networks have different names."""
    try:
        records = measured_times(build.device, build.device_file)
        answers = forecasts(networks, build.device, ForecastOptions(records=records))
    except EdgecnnError as error:
        names = dict.fromkeys((candidate.id for candidate in build.candidates), error.line())
        return [CandidateForecasts(absent=names) for _ in networks]
    by_network = dict[str, list[Found]]()
    for answer in answers:
        by_network.setdefault(answer.network, []).append(answer)
    return [_candidate_forecasts(by_network[network.name], build) for network in networks]


def _candidate_forecasts(answers: Sequence[Found], build: AwayBuild) -> CandidateForecasts:
    by_kind = {(answer.runtime, answer.precision): answer for answer in answers if isinstance(answer, Forecast)}
    reasons = {answer.runtime: answer.sentence for answer in answers if isinstance(answer, NoForecast)}
    outside = (answer for answer in answers if isinstance(answer, NoForecast) and answer.why is Why.NETWORK_OUTSIDE_SUPPORT)
    by_candidate, absent = dict[str, Forecast](), dict[str, str]()
    for candidate in build.candidates:
        forecast = by_kind.get((candidate.runtime, candidate.precision))
        unchanged = candidate.surgery is None or build.changed
        if forecast is not None and unchanged and candidate.method in _METHODS:
            by_candidate[candidate.id] = _note_threads(forecast, build.device.processor.cores)
        else:
            way = f"{candidate.runtime.value} in {candidate.precision.value}"
            no_precision = f"no public table has {way} on {build.device.name}"
            absent[candidate.id] = reasons.get(candidate.runtime) or reasons.get(None) or no_precision
    return CandidateForecasts(by_candidate, absent, next((answer.sentence for answer in outside), None))


def _note_threads(forecast: Forecast, cores: int | None) -> Forecast:
    """Add a note if a table's fastest run uses fewer threads than a build, which uses all cores."""
    if cores is None or forecast.threads in (None, cores):
        return forecast
    threads = f"with {counted(forecast.threads, 'thread')}; a build uses all {cores} cores"
    return forecast.model_copy(update={"note": f"{forecast.note}; {threads}" if forecast.note else threads})


def kit_chooser(build: AwayBuild, here: LocalFacts | None = None) -> Callable[[Network, CandidateForecasts], ExpectedKit | None]:
    """Return the function that names the kit that ships if the accuracy of all candidates is within the budget.

    It returns None if no kit can be named before the build: the objective is the size, or there is no candidate.

    ``here``: the machine that computes the accuracy; None for this machine.
    """
    facts, evidence = here or local_facts(), dated_records(build.device.name).evidence
    late = frozenset(candidate.id for candidate in build.candidates if computes_otherwise(candidate, facts))
    by_name = {candidate.id: candidate for candidate in build.candidates}

    def choose(network: Network, known: CandidateForecasts) -> ExpectedKit | None:
        if not by_name or build.objective == "size":
            return None
        own_network = None if network.arch is None else (network.arch, network.resolution_px)
        dated = dated_order(OnMachine(build.device, build.device_file), own_network, evidence)
        predicted = {name: forecast.p50_ms for name, forecast in known.by_candidate.items()}
        order = provisional_order(build.candidates, build.objective, KnownSpeeds(predicted, dated, late))
        first = by_name[order.names[0]]
        tested = next((by_name[name].runtime for name in order.names if name not in late), None)
        return ExpectedKit(
            network=network.name,
            resolution_px=network.resolution_px,
            device=build.device.name,
            candidate=first.id,
            runtime=first.runtime,
            precision=first.precision,
            forecast=known.by_candidate.get(first.id),
            untested=first.id in late,
            tested=tested if first.id in late and tested is not first.runtime else None,
            without=known.outside or known.absent[first.id] if first.id in known.absent else None,
            by="record" if order.dated else "forecast" if order.predicted else "default",
        )

    return choose


def expected_kits(networks: Sequence[Network], build: AwayBuild) -> list[ExpectedKit | None]:
    """Return the kit that ships of each network. The networks have different names."""
    choose = kit_chooser(build)
    return [choose(network, known) for network, known in zip(networks, networks_forecasts(networks, build), strict=True)]


class PlannedKit(NamedTuple):
    """What is known before a build about its kit and the speed of its candidates."""

    forecasts: CandidateForecasts = CandidateForecasts()
    kit: ExpectedKit | None = None


def planned_kit(resolved: Resolved, most_mib: float | None = None) -> PlannedKit:
    """Return the forecasts of a build that was not run, and the kit that ships. An attached device has neither.

    ``most_mib``: the bound of a gate on size. With such a gate, no kit can be named before the export shows the sizes.
    """
    if resolved.attachment.attached:
        return PlannedKit()
    build, network = build_away(resolved), planned_network(resolved)
    if isinstance(network, str):
        return PlannedKit(CandidateForecasts(absent=dict.fromkeys((candidate.id for candidate in build.candidates), network)))
    (known,) = networks_forecasts([network], build)
    return PlannedKit(known, None if most_mib is not None else kit_chooser(build)(network, known))


def planned_network(resolved: Resolved) -> Network | str:
    """Return the network of a build that was not run, or why its work is not known before the export."""
    size, name = resolved.preprocessing.pixels.crop_px, resolved.arch.name
    if catalogue_network(resolved) is not None and name in counted_catalogue().networks:
        return subject_of_arch(name, size)
    if resolved.recipe.surgery.instead:
        return f"the work of {name} after surgery is counted when it is exported"
    try:
        if resolved.custom_model is not None:
            return subject_of_file(resolved.sources[resolved.custom_model.content])._replace(name=name)
        return Network(name, size, count_arch(resolved.arch, size, len(resolved.data.classes) or None))
    except (EdgecnnError, MissingPackage, OSError, ValueError) as error:
        return f"the work of {name} cannot be counted before it is exported: {error}"


def catalogue_network(resolved: Resolved) -> tuple[str, ImageSize] | None:
    """Return name and resolution of the build's network; None unless it is an unscaled network of the catalogue."""
    if not resolved.is_catalogue_network or resolved.arch.scale is not None:
        return None
    return resolved.arch.name, resolved.preprocessing.pixels.crop_px


def built_forecasts(subject: Subject) -> CandidateForecasts:
    """Return forecasts of the catalogue's network, or of the exported network. A bundle alone has none."""
    if subject.about is None or subject.attached:
        return CandidateForecasts()
    resolved, name = subject.about, subject.about.arch.name
    if catalogue_network(resolved) is not None and name in counted_catalogue().networks:
        network = subject_of_arch(name, resolved.preprocessing.pixels.crop_px)
    elif (exported := subject.graphs.get(TRUNK)) is None:
        return CandidateForecasts()
    else:
        try:
            network = subject_of_file(exported.with_name("model.onnx"))._replace(name=name)
        except (EdgecnnError, OSError, ValueError) as error:
            why = f"the work of {name} cannot be counted: {error}"
            return CandidateForecasts(absent=dict.fromkeys((candidate.id for candidate in subject.candidates), why))
    return networks_forecasts([network], build_away(resolved, subject.candidates))[0]


def forecast_notices(subject: Subject) -> tuple[str, ...]:
    """Return why no candidate has a forecast; empty if one has."""
    predicted = built_forecasts(subject)
    if predicted.by_candidate or not predicted.absent:
        return ()
    return (f"no forecast of latency: {'; '.join(dict.fromkeys(predicted.absent.values()))}",)
