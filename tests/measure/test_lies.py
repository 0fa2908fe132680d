"""Files that a machine left are believed where they are possible and are what was asked; else its name and the lie are said."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts import AnswerUnusable
from edgecnn.errors.measuring import TRACE_UNREADABLE
from edgecnn.measure.evaluate import evaluate
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import race
from edgecnn.measure.residency import residency
from edgecnn.runner.runs.items import Item
from edgecnn.store.store import Store
from edgecnn.values.layers import MacTable
from tests.measure.labs import FakeHost, a_kit, lab_at
from tests.measure.test_evaluate import IMAGES, pixels_at
from tests.measure.test_race import asked
from tests.measure.test_residency import kit, macs  # noqa: F401 - fixtures

DEEP = "[" * 100_000 + "]" * 100_000


class Liar(FakeHost):
    """Does what is asked, and then changes the first file of what it left."""

    def __init__(self, lie: Callable[[Path], object]) -> None:
        super().__init__()
        self.lie = lie

    def _bench(self, schedule: Path, out: Path) -> dict[str, Any]:
        done = super()._bench(schedule, out)
        self.lie(out)
        return done

    def _evaluate(self, folder: Path, pixels: Path, out: Path) -> dict[str, Any]:
        done = super()._evaluate(folder, pixels, out)
        self.lie(out)
        return done


def board(host: FakeHost, store: Store) -> Lab:
    return replace(lab_at(host, store), machine="nano", lane="-1")


def said(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    """A lie in the first run's file."""

    def lie(out: Path) -> None:
        run = json.loads((out / "run-00000.json").read_text())
        change(run)
        (out / "run-00000.json").write_text(json.dumps(run))

    return lie


def written(text: str) -> Callable[[Path], object]:
    return lambda out: (out / "run-00000.json").write_text(text)


RUN = [
    (written(DEEP), "run-00000.json cannot be read: invalid JSON"),
    (written("{"), "run-00000.json cannot be read: invalid JSON"),
    (written("[]"), "run-00000.json is not edgecnn.run/1"),
    (said(lambda run: run.update(round=10**30)), "run-00000.json cannot be read: invalid JSON: 1000"),
    (said(lambda run: run.update(load_ns=1e308)), "run-00000.json cannot be read: invalid JSON: 1e"),
    (said(lambda run: run.update(load_ns=float("nan"))), "run-00000.json cannot be read: invalid JSON: NaN"),
    (said(lambda run: run.update(kit="0" * 64)), "run-00000.json: its kit is 000"),
    (said(lambda run: run.update(round=3)), "run-00000.json: its round is 3 instead of 0"),
    (said(lambda run: run.update(knobs={"threads": "9"})), r"run-00000.json: its knobs is \{'threads': '9'\} instead of \{\}"),
    (said(lambda run: run.update(knobs=[])), "run-00000.json: knobs: Input should be a valid dictionary"),
    (said(lambda run: run["samples_ns"].append(5)), "run-00000.json: 51 samples of 1 images instead of 50 of 1"),
    (said(lambda run: run["samples_ns"].clear()), "run-00000.json: 0 samples of 1 images instead of 50 of 1"),
    (said(lambda run: run.update(batch=8)), "run-00000.json: 50 samples of 8 images instead of 50 of 1"),
    (said(lambda run: run.update(samples_ns="fast")), "run-00000.json: samples_ns: Input should be a valid tuple"),
    (said(lambda run: run["samples_ns"].__setitem__(3, -5)), "run-00000.json: a time is not above 0"),
    (
        said(lambda run: run["samples_ns"].__setitem__(3, 10**15)),
        "run-00000.json: its samples take longer than its time limit of 65 s",
    ),
    (said(lambda run: run.update(started_at="\x1b[2J")), "run-00000.json: '\\\\x1b.2J' is not a date"),
    (said(lambda run: run.pop("environment")), "run-00000.json: environment: Field required"),
    (said(lambda run: run.update(environment=[])), "run-00000.json: environment: Input should be"),
    (
        said(lambda run: run["environment"]["conditions"].update(cores="many")),
        "run-00000.json: environment.conditions: Value error",
    ),
    (said(lambda run: run["memory"].update(peak_mib=-1)), "run-00000.json: memory is below 0"),
    (said(lambda run: run.update(error="broken")), "run-00000.json: error: Input should be"),
    (said(lambda run: run.update(error={})), "run-00000.json: error.what: Field required"),
    (lambda out: (out / "run-00000.json").rename(out / "run-00999.json"), "run-00999.json was not asked for"),
]


@pytest.mark.parametrize(("lie", "because"), RUN)
def test_a_run_that_cannot_have_been_is_one_line(
    lie: Callable[[Path], object], because: str, store: Store, tmp_path: Path
) -> None:
    with pytest.raises(AnswerUnusable, match=f"^the answer of nano to first race cannot be used: {because}"):
        race(asked((a_kit(tmp_path, "fp32"),)), board(Liar(lie), store))


@pytest.mark.parametrize(
    ("change", "because"),
    [
        (lambda energy: energy.update(images=0), "energy without images or without time"),
        (lambda energy: energy["work"].update(seconds=0), "energy without images or without time"),
        (lambda energy: energy["readings"][0].update(work_s=-1), "energy without images or without time"),
        (lambda energy: energy["readings"][0].update(idle_j=-1), "energy is below 0"),
        (lambda energy: energy.update(readings=5), "energy.readings: Input should be a valid tuple"),
    ],
)
def test_energy_that_cannot_have_been_is_one_line(change: Any, because: str, store: Store, tmp_path: Path) -> None:
    host = Liar(said(lambda run: change(run["energy"])))
    host.meters = "rapl"
    with pytest.raises(AnswerUnusable, match=f"run-00000.json: {because}"):
        race(asked((a_kit(tmp_path, "fp32"),), purpose="energy"), board(host, store))


def test_whoever_lied_is_asked_anew(store: Store, tmp_path: Path) -> None:
    host, kits = Liar(written(DEEP)), (a_kit(tmp_path, "fp32"),)
    with pytest.raises(EdgecnnError):
        race(asked(kits), board(host, store))
    host.lie = lambda out: None
    assert set(race(asked(kits), board(host, store)).profiles) == {kits[0].entrant}


def array(values: Any) -> Callable[[Path], object]:
    return lambda out: np.save(out / "logits-00000.npy", values)


@pytest.mark.parametrize(
    ("lie", "because"),
    [
        (lambda out: (out / "evaluation.json").write_text(DEEP), "invalid JSON"),
        (lambda out: (out / "evaluation.json").write_text("{}"), "environment: Field required"),
        (lambda out: (out / "evaluation.json").unlink(), "it left no evaluation.json"),
        (array(np.zeros((1, 3), np.float32)), "float32 logits of 7 images instead of 10"),
        (array(np.zeros((400, 3), np.float32)), "float32 logits of 406 images instead of 10"),
        (array(np.zeros((4, 9), np.float32)), "float32 logits of 10 images instead of 10"),
        (array(np.zeros((4, 3), np.int64)), "float32 logits of 6 images instead of 10"),
        (array(np.zeros((4, 3, 1), np.float32)), "float32 logits of 6 images instead of 10"),
        (array(np.array(["x"] * 4, object)), "logits that are not an array"),
        (
            lambda out: (out / "logits-00000.npy").write_bytes(b"\x93NUMPY\x01\x00\x76\x00" + b"(" * 118),
            "logits that are not an array",
        ),
        (
            lambda out: np.save(out / "logits-00009.npy", np.zeros((1, 3), np.float32)),
            "float32 logits of 11 images instead of 10",
        ),
    ],
)
def test_answers_that_are_none_of_what_was_asked_are_one_line(lie: Any, because: str, store: Store, tmp_path: Path) -> None:
    assert IMAGES == 10
    with pytest.raises(AnswerUnusable, match=f"^the answer of nano to evaluate cannot be used: {because}"):
        evaluate(a_kit(tmp_path, "kit"), pixels_at(tmp_path), board(Liar(lie), store))


def traced(text: str) -> Callable[[Item, Path], None]:
    def trace(item: Item, folder: Path) -> None:
        (folder / "profile.json").write_text(text)
        (folder / "optimized.onnx").write_bytes((item.kit / "model.onnx").read_bytes())

    return trace


@pytest.mark.parametrize("text", [DEEP, "5", "[5]", '[{"cat": "Node", "name": 5}]', '[{"cat": "Node", "name": "a_kernel_time"}]'])
def test_a_trace_of_another_form_is_one_line(text: str, store: Store, kit: KitRef, macs: MacTable) -> None:  # noqa: F811
    host = Liar(lambda out: None)
    host.trace = traced(text)
    with pytest.raises(EdgecnnError, check=TRACE_UNREADABLE.made):
        residency(kit, macs, board(host, store))


def test_a_trace_is_read_where_it_was_asked_to_be(store: Store, kit: KitRef, macs: MacTable) -> None:  # noqa: F811
    host = Liar(said(lambda run: run.update(trace="/etc")))
    with pytest.raises(EdgecnnError, match="trace-00000", check=TRACE_UNREADABLE.made):
        residency(kit, macs, board(host, store))
