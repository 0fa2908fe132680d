"""A first race goes on for those that may still be the best, and ends when it is known who ships."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from edgecnn.judging.regret import ENOUGH, LOOKS
from edgecnn.measure.kits import KitRef
from edgecnn.measure.race import RaceResult, race
from edgecnn.measure.race_request import RaceRequest, items_of
from edgecnn.runner.files import write_json
from edgecnn.runner.runs.items import Item, run_file
from edgecnn.store.store import Store
from edgecnn.values.profile import Choosing
from tests.measure.labs import FakeHost, a_kit, lab_at
from tests.store.toys import Ear


class Field(FakeHost):
    """Kits that take so many milliseconds, by the name of their folder, some of them a fifth more or less by chance."""

    ms: dict[str, float] = {}
    unsteady: frozenset[str] = frozenset()

    def _run_one(self, index: int, item: Item, out: Path) -> None:
        super()._run_one(index, item, out)
        path, name = run_file(out, index), item.kit.name
        run = json.loads(path.read_text())
        if "error" not in run:
            now = math.exp(random.Random(f"{name} {run['round']}").gauss(0, 0.2)) if name in self.unsteady else 1.0
            run["samples_ns"] = [round(self.ms[name] * 1e6 * now)] * len(run["samples_ns"])
            write_json(path, run)


@pytest.fixture
def host() -> Field:
    found = Field()
    found.ms = {"fp32": 40.0, "bf16": 2.02, "int8": 2.0}
    return found


@pytest.fixture
def kits(tmp_path: Path) -> tuple[KitRef, ...]:
    return tuple(a_kit(tmp_path / "kits", name) for name in ("fp32", "bf16", "int8"))


def asked(kits: tuple[KitRef, ...], among: tuple[str, ...] = ("fp32", "bf16", "int8"), **changes: Any) -> RaceRequest:
    contenders = tuple(kit.entrant for kit in kits if kit.folder.name in among)
    rule = {"looks": LOOKS, "regret": ENOUGH, "contenders": contenders, "budget_s": 600.0, **changes}
    return RaceRequest(
        kits=kits, purpose="select", rounds=LOOKS[-1], samples=50, max_age_h=24.0, choosing=Choosing.model_validate(rule)
    )


def runs_of(found: RaceResult, kits: tuple[KitRef, ...]) -> dict[str, int]:
    return {kit.folder.name: len(found.profiles[kit.entrant].runs) for kit in kits}


def test_who_cannot_be_the_best_leaves_after_the_first_look_and_the_others_run_on(
    tmp_path: Path, host: Field, kits: tuple[KitRef, ...]
) -> None:
    host.unsteady = frozenset({"bf16", "int8"})
    ear = Ear()
    found = race(asked(kits), lab_at(host, Store.open(tmp_path / "store"), ear))
    ran = runs_of(found, kits)
    assert ran["fp32"] == 3 and ran["bf16"] == ran["int8"] == 24
    assert " is ahead after 3 rounds (expected regret " in ear.notes[0]


def test_after_the_last_look_it_does_not_say_that_it_goes_on(tmp_path: Path, host: Field, kits: tuple[KitRef, ...]) -> None:
    host.unsteady, ear = frozenset({"bf16", "int8"}), Ear()
    ran = runs_of(race(asked(kits, regret=0.0), lab_at(host, Store.open(tmp_path / "store"), ear)), kits)
    assert ran["int8"] == LOOKS[-1] and f" is ahead after {LOOKS[-2]} rounds " in ear.notes[-1]


def test_it_ends_at_the_first_look_where_the_field_lies_far_apart(tmp_path: Path, host: Field, kits: tuple[KitRef, ...]) -> None:
    host.ms["bf16"] = 3.0
    assert runs_of(race(asked(kits), lab_at(host, Store.open(tmp_path / "store"))), kits) == {"fp32": 3, "bf16": 3, "int8": 3}


def test_beside_other_work_two_looks_must_know_enough(tmp_path: Path, host: Field, kits: tuple[KitRef, ...]) -> None:
    host.ms["bf16"] = 2.1
    quiet = race(asked(kits), lab_at(host, Store.open(tmp_path / "quiet")))
    host.observed = {"others_percent": "31"}
    ear = Ear()
    busy = race(asked(kits), lab_at(host, Store.open(tmp_path / "busy"), ear))
    rounds = LOOKS.index(runs_of(quiet, kits)["int8"])
    assert runs_of(busy, kits) == {"fp32": 3, "bf16": LOOKS[rounds + 1], "int8": LOOKS[rounds + 1]}
    assert ", but other programs used 31 % of the CPU time; the race continues with bf16" in ear.notes[-1]


def test_who_may_not_be_chosen_is_timed_and_has_no_say(tmp_path: Path, host: Field, kits: tuple[KitRef, ...]) -> None:
    found = race(asked(kits, among=("fp32", "int8")), lab_at(host, Store.open(tmp_path / "store")))
    assert runs_of(found, kits) == {"fp32": 3, "bf16": 3, "int8": 3}, "the only neighbour of int8 is not in question"


def test_after_its_time_it_begins_no_more_rounds(tmp_path: Path, host: Field, kits: tuple[KitRef, ...]) -> None:
    host.unsteady = frozenset({"bf16", "int8"})
    found = race(asked(kits, budget_s=0.0), lab_at(host, Store.open(tmp_path / "store")))
    assert set(runs_of(found, kits).values()) == {3}


def test_one_that_breaks_is_out_and_the_others_are_chosen_among(tmp_path: Path, host: Field, kits: tuple[KitRef, ...]) -> None:
    host.broken[kits[2].digest] = "the process was killed"
    found = race(asked(kits), lab_at(host, Store.open(tmp_path / "store")))
    assert set(found.failed) == {kits[2].entrant} and {len(each.runs) for each in found.profiles.values()} == {3}


def test_an_interrupted_one_goes_on_where_it_stopped(tmp_path: Path, host: Field, kits: tuple[KitRef, ...]) -> None:
    host.unsteady = frozenset({"bf16", "int8"})
    store = Store.open(tmp_path / "store")
    host.stop_after = 14
    with pytest.raises(KeyboardInterrupt):
        race(asked(kits), lab_at(host, store))
    host.stop_after = None
    found = race(asked(kits), lab_at(host, store))
    assert runs_of(found, kits) == {"fp32": 3, "bf16": 24, "int8": 24}
    assert len(host.ran) == 3 + 24 + 24
    assert race(asked(kits), lab_at(host, store)).reused


def test_every_second_round_is_run_in_the_reverse_order_so_that_nobody_is_early_more_often(kits: tuple[KitRef, ...]) -> None:
    places = Counter[str]()
    for item in items_of(asked(kits)):
        places[Path(item["kit"]).name] += item["position"]
    assert set(places.values()) == {LOOKS[-1]}, "24 rounds of places 0, 1 and 2"


def test_a_run_that_succeeds_at_the_second_call_changes_nothing_about_who_ran_on(
    tmp_path: Path, host: Field, kits: tuple[KitRef, ...]
) -> None:
    """The next block was begun without the kit that had failed, and goes on as it was begun."""
    host.unsteady, store = frozenset({"bf16", "int8"}), Store.open(tmp_path / "store")
    host.broken[kits[0].digest], host.ms["fp32"] = "for once", 2.0
    host.stop_after = 12
    with pytest.raises(KeyboardInterrupt):
        race(asked(kits), lab_at(host, store))
    host.stop_after = None
    host.broken.clear()
    found = race(asked(kits), lab_at(host, store))
    assert runs_of(found, kits)["fp32"] >= 3 and runs_of(found, kits)["int8"] == 24
