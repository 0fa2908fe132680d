"""Networks for a device inside budgets: the kit that a build ships, its forecast, published accuracy, counted work and size.

Nothing is measured. A network fits if the whole interval of its kit's forecast does. A network whose kit has no forecast is
listed separately.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

from pydantic import Field, PositiveFloat, PositiveInt

from edgecnn.building.forecasts import away_build, expected_kits
from edgecnn.devices.files import Target, parse_target
from edgecnn.devices.this_machine import attachment_of, local_facts
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.devices import UnknownDevice
from edgecnn.errors.fit import BOARD_WITHOUT_FILE, LATENCY_BUDGET_TWICE
from edgecnn.errors.usage import LIST_BUDGET_INVALID, list_budget_unknown
from edgecnn.errors.wording import nearest
from edgecnn.forecast.networks import Subject, counted_catalogue, subject_of_arch
from edgecnn.forecast.tables import places_with_tables
from edgecnn.judging.metrics import budgets_in_p50, parse_budgets
from edgecnn.models.catalogue import arch_named, archs_like
from edgecnn.models.weights import held_weights
from edgecnn.planning.complete import stored_weights, tool_versions
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.store.store import Store
from edgecnn.values.arch import ArchSpec, ListedArch, Share, listed
from edgecnn.values.base import Value
from edgecnn.values.candidate import Precision, Runtime
from edgecnn.values.device import split_target
from edgecnn.values.forecast import ExpectedKit, Forecast
from edgecnn.values.preprocessing import Resolution
from edgecnn.values.verdict import IMAGES_PER_S

Budget = Literal["p50_ms", "size_mib"]
_BUDGETS: tuple[Budget, ...] = get_args(Budget)
_BYTES = {Precision.FP32: 4, Precision.INT8: 1}
"""Bytes of a parameter; 2 in the other precisions."""
CLASSES = 1000
"""Classes of ImageNet-1k, on which the accuracies were published."""
RUNNER_MIB = 1.0
"""About the size of a kit without its model: the runner, and test images with their logits."""
_IN_FILES = {Precision.INT8: 1.2}
"""Upper limit of a model's size relative to its parameters; INT8 models have scales and a graph around them."""
_IN_FLOAT_FILES = 1.02


class Limits(NamedTuple):
    """Budgets of a list, and the number of classes."""

    within: Mapping[Budget, float] = {}
    stated: Mapping[str, float] = {}
    """The budgets as they were typed."""
    classes: int = CLASSES
    resolution_px: ImageSize | None = None
    """None: every network has its own."""


class Answer(NamedTuple):
    """What is known about one network on one device."""

    kit: ExpectedKit | None
    """The kit that a build ships; None if none can be built."""
    macs: int
    why: str = ""
    """Why there is no kit."""


Answers = Mapping[str, Answer]


Fits = Literal["yes", "unsure", "no"]
"""unsure: the forecast's interval contains the bound, or the kit's other files decide whether its size fits."""


class NetworkOnDevice(Value):
    """One network, in the kit that a build ships."""

    name: str
    resolution_px: Resolution
    """Size of the images that the forecast is for."""
    published_px: Resolution
    """Size of the images of the published accuracy."""
    accuracy_top1: Share | None
    """Published top-1 of the float network on ImageNet-1k, 0…1; None if no figure was published."""
    trainable_from: Literal["here", "download", "random"]
    """Whether pretrained weights are on this machine, can be downloaded, or do not exist."""
    weights_here: bool
    """Whether its pretrained weights are on this machine."""
    macs: PositiveInt
    """Multiply-adds for one image."""
    size_mib: PositiveFloat
    """Size of its parameters in the precision of the forecast, with ``NetworksFor.classes`` classes."""
    kit_mib: PositiveFloat
    """About the size of the whole kit, with scales, names, the runner and its test images."""
    kit: str
    """The candidate that a build for the device ships before it is measured there, within the accuracy budget."""
    untested: bool = False
    """Whether this machine computes the accuracy of that kit in another arithmetic."""
    tested: Runtime | None = None
    """For an untested kit: another runtime of the target, with a kit whose accuracy can be computed here."""
    forecast: Forecast
    """Forecast of that kit."""
    fits: Fits


class NetworksOnDevice(Value):
    """Networks on one device."""

    device: str
    target: str
    """The target as a build takes it."""
    attached: bool = False
    """Whether this machine is the device, so that a build measures its candidates."""
    recommended: str | None = None
    """The most accurate network of ``networks`` that fits and whose pretrained weights are on this machine; else the best other
    one. None without a budget, or if none may fit."""
    more_accurate: str | None = None
    """A more accurate network that fits, whose pretrained weights have to be downloaded."""
    kit_without_forecast: str | None = None
    """The kit that a build ships of the networks in ``catalogue``; None if a build measures the candidates."""
    networks: tuple[NetworkOnDevice, ...]
    """Networks whose kit has a forecast, by published accuracy."""
    without_forecast: Mapping[str, tuple[str, ...]]
    """Reason for a missing forecast, to the networks without one, none of which fits."""
    catalogue: tuple[ListedArch, ...] = ()
    """Published and counted figures of all networks, by accuracy, if no network has a forecast. Sizes are for the same number of
    classes."""
    measured_by: str | None = None
    """The command that times networks on the device, if no network has a forecast."""
    weights_here: tuple[str, ...] = ()
    """Networks whose pretrained weights are on this machine."""

    def of(self, *fits: Fits) -> tuple[NetworkOnDevice, ...]:
        """Return the networks with this fit."""
        return tuple(row for row in self.networks if row.fits in fits)

    def named(self, name: str | None) -> NetworkOnDevice | None:
        """Return the network with this name."""
        return next((row for row in self.networks if row.name == name), None)


class ShortListed(NamedTuple):
    """A network of the short list that ``edgecnn init`` offers."""

    name: str
    accuracy_top1: float
    """Published top-1, 0…1."""
    macs: int
    size_mib: float
    """Size of its parameters in the precision of the forecast, or in fp32 without one."""
    weights_here: bool
    forecast: Forecast | None


class NetworksFor(Value):
    """Schema edgecnn.networks-for/1: `edgecnn list archs --target DEVICE --within METRIC=NUMBER --json`."""

    schema_: Literal["edgecnn.networks-for/1"] = Field(default="edgecnn.networks-for/1", alias="schema")
    within: Mapping[Budget, PositiveFloat]
    """Budget to its limit; images a second are converted to p50."""
    stated: Mapping[str, PositiveFloat] = {}
    """The budgets as they were typed."""
    classes: PositiveInt = CLASSES
    """Classes of the last layer, which the sizes include."""
    resolution_px: Resolution | None = None
    """Size of the images; None: every network has its own."""
    devices: tuple[NetworksOnDevice, ...]


def limits_of_a_list(texts: Iterable[str], classes: int = CLASSES, resolution_px: ImageSize | None = None) -> Limits:
    """Parse budgets such as ``p50_ms=50``, ``images_per_s=20`` and ``size_mib=10``.

    Raises LIST_BUDGET_INVALID, LATENCY_BUDGET_TWICE.
    """
    known = (*_BUDGETS, IMAGES_PER_S)

    def named(name: str, text: str) -> str:
        if name not in known:
            near = IMAGES_PER_S if name == "fps" else nearest(name, known, cutoff=0.4)
            raise list_budget_unknown(text=text, name=name, near=near)
        return name

    budgets = parse_budgets(texts, named, lambda text, because: LIST_BUDGET_INVALID(text=text, because=because))
    if {IMAGES_PER_S, "p50_ms"} <= budgets.keys():
        raise LATENCY_BUDGET_TWICE()
    in_ms = budgets_in_p50(budgets)
    return Limits({name: in_ms[name] for name in _BUDGETS if name in in_ms}, budgets, classes, resolution_px)


def networks_for(pattern: str, targets: Iterable[str], limits: Limits, store: Store) -> NetworksFor:
    """Return the networks of the catalogue that match a pattern, with forecasts on each device.

    Raises UnknownArch, the errors of ``parse_target``, BOARD_WITHOUT_FILE: only the public tables have the device, and
    PUBLIC_TABLE_DAMAGED: a shipped table cannot be read.
    """
    specs, versions = archs_like(pattern), tool_versions()
    here = {
        spec.name for spec in specs if spec.weights and held_weights(spec.weights, cached=stored_weights(spec, store, versions))
    }
    subjects, refused = list[Subject](), dict[str, Answer]()
    for spec in specs:
        try:
            subjects.append(subject_of_arch(spec.name, limits.resolution_px))
        except EdgecnnError as error:
            refused[spec.name] = Answer(None, spec.macs or 0, error.line())
    native = limits.resolution_px is None
    macs = {subject.name: (arch_named(subject.name).macs or 0) if native else subject.work.macs for subject in subjects}
    devices = []
    for target in map(_known_target, targets):
        kits = expected_kits(subjects, away_build(target.device, target.runtime))
        answers = {subject.name: Answer(kit, macs[subject.name]) for subject, kit in zip(subjects, kits, strict=True)}
        devices.append(networks_on(target, specs, limits, refused | answers, here))
    return NetworksFor(
        within=limits.within,
        stated=limits.stated,
        classes=limits.classes,
        resolution_px=limits.resolution_px,
        devices=tuple(devices),
    )


def _known_target(text: str) -> Target:
    try:
        return parse_target(text)
    except UnknownDevice:
        name, _ = split_target(text)
        if name not in places_with_tables():
            raise
        raise BOARD_WITHOUT_FILE(board=name) from None


def networks_on(
    target: Target,
    specs: Sequence[ArchSpec],
    limits: Limits,
    answers: Answers,
    weights_here: Container[str],
) -> NetworksOnDevice:
    """Return published, counted and predicted figures of networks of the catalogue on one device."""
    rows, without, unknown = list[NetworkOnDevice](), dict[str, list[str]](), list[ExpectedKit]()
    for spec in specs:
        kit, macs, why = answers[spec.name]
        if kit is None or kit.forecast is None:
            unknown += [kit] if kit is not None else []
            without.setdefault(why if kit is None else kit.without or "", []).append(spec.name)
            continue
        rows.append(
            NetworkOnDevice(
                name=spec.name,
                resolution_px=kit.resolution_px,
                published_px=spec.resolution_px,
                accuracy_top1=None if spec.accuracy is None else spec.accuracy.top1,
                trainable_from="here" if spec.name in weights_here else "random" if spec.weights is None else "download",
                weights_here=spec.name in weights_here,
                macs=macs,
                size_mib=round(_size_mib(spec, kit.precision, limits.classes), 2),
                kit_mib=round(_kit_mib(spec, kit.precision, limits.classes), 2),
                kit=kit.candidate,
                untested=kit.untested,
                tested=kit.tested,
                forecast=kit.forecast,
                fits=_fits(spec, kit.forecast, limits),
            )
        )
    rows.sort(key=lambda row: (-(row.accuracy_top1 or 0.0), row.forecast.p50_ms.estimate))
    device, best = target.device, _recommended(rows) if limits.within else None
    attached = attachment_of(device, local_facts()).attached
    known = NetworksOnDevice(
        device=device.name,
        target=device.name if target.runtime is None else f"{device.name}:{target.runtime}",
        attached=attached,
        networks=tuple(rows),
        without_forecast={why: tuple(names) for why, names in without.items()},
        recommended=None if best is None else best.name,
        more_accurate=None if best is None else _more_accurate(rows, best),
        kit_without_forecast=unknown[0].candidate if unknown and not attached else None,
        weights_here=tuple(spec.name for spec in specs if spec.name in weights_here),
    )
    if rows:
        return known
    catalogue = [
        listed(spec).model_copy(update={"weights_mib": round(_size_mib(spec, Precision.FP32, limits.classes), 2)})
        for spec in specs
    ]
    catalogue.sort(key=lambda row: -(row.accuracy_top1 or 0.0))
    measures = f"edgecnn devices measure {device.name}" + ("" if device.usually_attached else " --host USER@BOARD")
    return known.model_copy(update={"catalogue": tuple(catalogue), "measured_by": measures})


_ORIGINS = ("here", "download", "random")


def _recommended(rows: Sequence[NetworkOnDevice]) -> NetworkOnDevice | None:
    """Return the most accurate network that fits, pretrained weights first; else the best that may fit."""
    known = [row for row in rows if row.accuracy_top1 is not None and row.fits != "no"]
    fitting = [row for row in known if row.fits == "yes"] or known
    return min(fitting, key=lambda row: (_ORIGINS.index(row.trainable_from), -(row.accuracy_top1 or 0.0)), default=None)


def _more_accurate(rows: Sequence[NetworkOnDevice], best: NetworkOnDevice) -> str | None:
    """Return the most accurate network that fits as well as the recommended one, if its weights have to be downloaded."""
    others = [row for row in rows if row.trainable_from == "download" and row.fits == best.fits]
    first = max(others, key=lambda row: row.accuracy_top1 or 0.0, default=None)
    return first.name if first is not None and (first.accuracy_top1 or 0.0) > (best.accuracy_top1 or 0.0) else None


def short_list(networks: NetworksOnDevice, most: int = 6) -> tuple[ShortListed, ...]:
    """Return networks that no other network beats in both published accuracy and cost, the most accurate first.

    The cost is the forecast p50, or the multiply-adds if no network has a forecast. Up to half of the list are networks whose
    pretrained weights are on this machine, chosen among themselves; both parts spread from the cheapest to the most expensive.
    """
    rows = [
        ShortListed(row.name, row.accuracy_top1, row.macs, row.size_mib, row.weights_here, row.forecast)
        for row in networks.networks
        if row.accuracy_top1 is not None
    ] or [
        ShortListed(row.name, row.accuracy_top1, row.macs, row.weights_mib, row.name in networks.weights_here, None)
        for row in networks.catalogue
        if row.accuracy_top1 is not None
    ]
    here = _spread(_unbeaten([row for row in rows if row.weights_here]), most // 2)
    others = [row for row in _unbeaten(rows) if row not in here]
    return tuple(sorted([*here, *_spread(others, most - len(here))], key=lambda row: -row.accuracy_top1))


def default_network(networks: NetworksOnDevice, candidates: Sequence[ShortListed], usual: str) -> str:
    """Return the usual network; if its weights are not here, the listed network of most similar work whose weights are here."""
    here = [row for row in candidates if row.weights_here]
    if not here or usual in networks.weights_here:
        return usual
    work = arch_named(usual).macs or 1
    return min(here, key=lambda row: abs(math.log(row.macs / work))).name


def _unbeaten(rows: Iterable[ShortListed]) -> list[ShortListed]:
    """Return the Pareto front of accuracy and cost, the cheapest first."""
    front = list[ShortListed]()
    costs = [(row.forecast.p50_ms.estimate if row.forecast else row.macs, row) for row in rows]
    for _, row in sorted(costs, key=lambda cost: (cost[0], -cost[1].accuracy_top1)):
        if not front or row.accuracy_top1 > front[-1].accuracy_top1:
            front.append(row)
    return front


def _spread(rows: Sequence[ShortListed], most: int) -> list[ShortListed]:
    """Return at most ``most`` rows (2 or more), evenly spaced, including the first and the last."""
    if len(rows) <= most:
        return list(rows)
    return [rows[round(position * (len(rows) - 1) / (most - 1))] for position in range(most)]


def _fits(spec: ArchSpec, forecast: Forecast, limits: Limits) -> Fits:
    """Return whether latency and size fit their budgets."""
    bound_ms, most_mib = (limits.within.get(name, math.inf) for name in _BUDGETS)
    size, kit = (size_of(spec, forecast.precision, limits.classes) for size_of in (_size_mib, _kit_mib))
    lows, highs = (forecast.p50_ms.low, size), (forecast.p50_ms.high, kit)
    if any(low > bound for low, bound in zip(lows, (bound_ms, most_mib), strict=True)):
        return "no"
    return "yes" if all(high <= bound for high, bound in zip(highs, (bound_ms, most_mib), strict=True)) else "unsure"


def _size_mib(spec: ArchSpec, precision: Precision, classes: int) -> float:
    per_class = counted_catalogue().networks[spec.name].parameters_per_class
    parameters = (spec.parameters or 0) + (classes - spec.classes) * per_class
    return parameters * _BYTES.get(precision, 2) / 2**20


def _kit_mib(spec: ArchSpec, precision: Precision, classes: int) -> float:
    return _size_mib(spec, precision, classes) * _IN_FILES.get(precision, _IN_FLOAT_FILES) + RUNNER_MIB
