"""The latency tables of a search: where they lie, when one speaks for a machine, and one measured where there is none."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from edgecnn.devices.files import own_folder
from edgecnn.errors.base import system_reason
from edgecnn.errors.fit import (
    TABLE_UNREADABLE,
    TABLE_UNWRITABLE,
    NothingTimed,
    no_table,
    table_of_another,
    table_too_short,
)
from edgecnn.errors.weights import MissingPackage, UnknownArch
from edgecnn.errors.wording import first_line, shortened
from edgecnn.fit.features import counted_of
from edgecnn.fit.predictor import Predictor, Predicts
from edgecnn.fit.request import FitRequest
from edgecnn.fit.table import TablePlan, measure_table
from edgecnn.measure.lab import Lab, first_difference
from edgecnn.resources import resource_folder
from edgecnn.runner.files import bounded_content
from edgecnn.store.disk import write_text_atomically
from edgecnn.values.candidate import Candidate
from edgecnn.values.device import Device
from edgecnn.values.fit import LEAST_TIMED, LatencyTable, TableUsed, TimedProbe
from edgecnn.values.stage import Key, digest_of
from edgecnn.values.verdict import Fidelity

_BYTES_MAX: Final = 16 << 20
"""The largest table that is read; one of 40 networks in eight candidates has half a MiB."""


def own_table(device: str) -> Path:
    """Where a table that is measured here goes: ``tables/DEVICE.json`` in the folder of the user's own devices."""
    return own_folder() / "tables" / f"{device}.json"


def table_file(device: str) -> Path | None:
    """The user's table of a device, else a shipped one; None where nobody measured any."""
    places = (own_table(device), resource_folder("devices") / "tables" / f"{device}.json")
    return next((path for path in places if path.is_file()), None)


def require_file(path: Path) -> None:
    """Raises TABLE_UNWRITABLE: nothing could be written there once it is measured."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TABLE_UNWRITABLE(path=path, because=system_reason(error)) from error
    if path.is_dir():
        raise TABLE_UNWRITABLE(path=path, because="it is a folder")
    if not os.access(path.parent, os.W_OK):
        raise TABLE_UNWRITABLE(path=path, because="its folder may not be written")


def write_table(table: LatencyTable, path: Path) -> None:
    """Write a table whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(path, table.model_dump_json(indent=1, by_alias=True) + "\n")


def read_table_file(path: Path) -> LatencyTable:
    """Raises TABLE_UNREADABLE: it cannot be read, or is no table."""
    try:
        return LatencyTable.model_validate_json(bounded_content(path, _BYTES_MAX))
    except OSError as error:
        raise TABLE_UNREADABLE(path=path, problems=[system_reason(error)]) from error
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        problems = [f"{shortened('.'.join(map(str, each['loc']))) or 'the file'}: {each['msg']}" for each in faults]
        raise TABLE_UNREADABLE(path=path, problems=problems) from error


def require_same_machine(table: LatencyTable, path: Path, lab: Lab) -> None:
    """Hold a table to this machine as it is now. Raises TABLE_OF_ANOTHER: naming what differs."""
    difference = first_difference(table.environment, lab.environment)
    for runtime, then in table.runtimes.items():
        now = lab.host.runtime_version(runtime)
        if difference is None and now != then:
            difference = f"{runtime}: then {then}, now {now or 'absent'}"
    if difference is not None:
        raise table_of_another(path=path, difference=difference, device=table.device)


@dataclass(frozen=True)
class TablePrices:
    """A table that can predict."""

    used: TableUsed
    predictors: Mapping[str, Predicts]
    """By candidate."""
    content: Key
    """Digest of what they were made of."""


@dataclass(frozen=True)
class Priced(TablePrices):
    """The table of the device that is searched for."""

    candidates: Mapping[str, Candidate]
    environment: Mapping[str, str]
    """Conditions of the machine, for the records of what is made to be timed."""
    fastest: Mapping[str, TimedProbe]
    """Candidate to the network of the table that takes it least."""


def prices_in(path: Path, table: LatencyTable, candidates: Iterable[str]) -> TablePrices:
    """Of those of the candidates that were timed often enough. Raises TABLE_TOO_SHORT: none was."""
    timed = {name: _undisturbed(table.timed.get(name, ())) for name in candidates}
    enough = {name: rows for name, rows in timed.items() if len(rows) >= LEAST_TIMED}
    _require_todays_networks(path, (row for rows in enough.values() for row in rows))
    if not enough:
        most = max((len(rows) for rows in timed.values()), default=0)
        raise table_too_short(path=path, device=table.device, most=most, needed=LEAST_TIMED)
    used = TableUsed(
        file=str(path),
        machine=table.machine,
        observed_at=table.observed_at,
        networks=max(len(rows) for rows in enough.values()),
        fidelity=table.fidelity,
    )
    content = digest_of({name: [row.model_dump(mode="json") for row in rows] for name, rows in enough.items()})
    return TablePrices(used, {name: _predictor(path, name, rows) for name, rows in enough.items()}, content)


def _predictor(path: Path, candidate: str, rows: Sequence[TimedProbe]) -> Predictor:
    """Raises TABLE_UNREADABLE: its figures contradict each other, so that no prediction can be made from them."""
    try:
        return Predictor(rows)
    except (ValueError, ArithmeticError) as error:
        because = f"nothing can be predicted from its times of {candidate}: {shortened(first_line(error))}"
        raise TABLE_UNREADABLE(path=path, problems=[because]) from error


def _undisturbed(rows: Sequence[TimedProbe]) -> Sequence[TimedProbe]:
    """Those timed beside no other work, where these are enough."""
    quiet = [each for each in rows if each.disturbed is None]
    return quiet if len(quiet) >= LEAST_TIMED else rows


def _require_todays_networks(path: Path, rows: Iterable[TimedProbe]) -> None:
    """Raises TABLE_UNREADABLE: by a name that it timed another network is meant today, or none."""
    for each in rows:
        try:
            macs = counted_of(each.probe).macs
        except (MissingPackage, ImportError):
            raise
        except UnknownArch as error:
            raise TABLE_UNREADABLE(
                path=path, problems=[f"{shortened(error.what)}: another version of edgecnn measured it"]
            ) from error
        except Exception as error:  # no class is shared by what networks raise that cannot be built
            because = f"there is no network {shortened(each.probe.name)}: {shortened(first_line(error))}"
            raise TABLE_UNREADABLE(path=path, problems=[because]) from error
        if macs != each.macs:
            why = f"{each.probe.name} had {each.macs:,} multiply-adds and has {macs:,}: another version of edgecnn measured it"
            raise TABLE_UNREADABLE(path=path, problems=[why])


def priced(asked: FitRequest, candidates: Sequence[Candidate], lab: Lab, *, attached: bool) -> Priced:
    """The table that was named, else the device's own, else one that is measured now.

    A candidate of which the table says too little is told, and not searched with.

    Raises NO_TABLE: there is none, and the device is not at hand. TABLE_OF_ANOTHER: it is of another machine than the one at
    hand.
    TABLE_UNREADABLE: it is no table. NothingTimed: there was none, and nothing could be timed.
    """
    shippable = [each for each in candidates if each.runtime in asked.device.built_for(asked.recipe.target.runtime)]
    path, table = _table_for(asked, candidates, shippable, lab, attached=attached)
    found = prices_in(path, table, (each.id for each in shippable))
    by_name = {each.id: each for each in shippable if each.id in found.predictors}
    for each in shippable:
        if each.id not in by_name:
            few = len(table.timed.get(each.id, ()))
            lab.tell.note(f"{each.id} is not searched with: {few} networks of it are in the table, {LEAST_TIMED} are needed")
    fastest = {name: min(_undisturbed(table.timed[name]), key=lambda each: each.least_ms) for name in by_name}
    return Priced(found.used, found.predictors, found.content, by_name, lab.environment.conditions, fastest)


def _table_for(
    asked: FitRequest, candidates: Sequence[Candidate], shippable: Sequence[Candidate], lab: Lab, *, attached: bool
) -> tuple[Path, LatencyTable]:
    """The file and what is in it; a table of the device's own is filled up with what may ship and lacks."""
    name = asked.device.name
    path = asked.table or table_file(name)
    if path is None:
        if not attached:
            raise no_table(device=name)
        return _written(name, _measured(None, tuple(candidates), lab))
    table = read_table_file(path)
    if attached:
        require_same_machine(table, path, lab)
    elif table.device != name and not _stands_for(table, asked.device):
        raise table_of_another(path=path, difference=f"it is of {table.device}, and {name} is searched for", device=name)
    lacking = _lacking(table, shippable)
    if asked.table is None and attached and lacking:
        return _written(name, _measured(table, lacking, lab))
    return path, table


def _stands_for(table: LatencyTable, device: Device) -> bool:
    """An emulated machine is no device: its table stands for each of its architecture, and is shown as emulated."""
    architecture = table.environment.observed.get("architecture")
    return table.fidelity is Fidelity.EMULATED and architecture == device.processor.architecture


def _written(device: str, table: LatencyTable) -> tuple[Path, LatencyTable]:
    path = own_table(device)
    write_table(table, path)
    return path, table


def _lacking(table: LatencyTable, candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Those that are here now and of which the table says nothing, or too little: not those of which nothing ever ran."""
    return tuple(
        each for each in candidates if len(table.timed.get(each.id, ())) < LEAST_TIMED and table.failed.get(each.id) is None
    )


def _measured(table: LatencyTable | None, candidates: tuple[Candidate, ...], lab: Lab) -> LatencyTable:
    """A table of these candidates, beside what is known already of others."""
    which = "" if table is None else ", of " + ", ".join(each.id for each in candidates)
    lab.tell.note(f"the latency table of {lab.device} is measured now{which}, once, in about a quarter of an hour")
    try:
        found = measure_table(TablePlan(candidates=candidates), lab)
    except NothingTimed as error:
        if table is None:
            raise
        lab.tell.note(error.what)
        return table.model_copy(update={"failed": {**table.failed, **{each.id: error.because for each in candidates}}})
    if table is None:
        return found
    both = {name: {**getattr(table, name), **getattr(found, name)} for name in ("timed", "failed", "runtimes")}
    return found.model_copy(update={**both, "seconds": round(table.seconds + found.seconds, 1)})
