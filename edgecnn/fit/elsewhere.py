"""What the built members would take on other devices, by the tables of those: which device is enough?"""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.errors.fit import NoTableBeside
from edgecnn.fit.predictor import fastest_first
from edgecnn.fit.request import OtherTarget
from edgecnn.fit.space import probe_of
from edgecnn.fit.table_files import read_table_file, table_file
from edgecnn.fit.tables import TablePrices, prices_in
from edgecnn.values.arch import ArchSpec
from edgecnn.values.candidate import ALL_RUNTIMES
from edgecnn.values.fit import Member, OnAnother


def prices_elsewhere(others: Sequence[OtherTarget]) -> dict[str, TablePrices]:
    """By device, in every candidate of its table that is asked for.

    Raises NoTableBeside: nobody measured one. TableUnreadable, TableTooShort: see ``prices_in``.
    """
    found = {}
    for other in others:
        path = table_file(other.device)
        if path is None:
            raise NoTableBeside(device=other.device)
        table = read_table_file(path)
        runtime = "" if other.runtime in (None, ALL_RUNTIMES) else f"{other.runtime}-"
        found[other.name] = prices_in(path, table, [name for name in table.timed if name.startswith(runtime)])
    return found


def on_another(device: str, prices: TablePrices, members: Sequence[Member], spec: ArchSpec, classes: int) -> OnAnother:
    """Each built member as its fastest candidate there."""
    found = {each.name: fastest_first(prices.predictors, probe_of(each, spec, classes))[0] for each in members}
    return OnAnother(device=device, table=prices.used, predicted=found)
