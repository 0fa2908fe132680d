from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.building import observe
from edgecnn.building.execute import Execution
from edgecnn.building.observe import Observer
from edgecnn.building.plan import plan
from edgecnn.building.resolve import BASELINE
from edgecnn.measure.evaluate import PixelSet
from edgecnn.measure.kits import KitRef
from edgecnn.values.candidate import Candidate
from tests.building.resolutions import INT8, resolved


class Ear:
    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None: ...

    def note(self, text: str) -> None: ...


class Room:
    tell = Ear()


def kit(candidate: Candidate) -> KitRef:
    return KitRef(candidate=candidate, folder=Path("/nowhere"), digest=candidate.id, runtime="onnxruntime")


def test_a_candidate_that_answers_no_numbers_is_out_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: dict[str, Any] = {BASELINE.id: np.zeros((4, 10), np.float32), INT8.id: np.full((4, 10), np.nan, np.float32)}
    monkeypatch.setattr(observe, "evaluate", lambda kit, pixels, lab: kit.candidate.id)
    monkeypatch.setattr(observe, "logits_of", answers.__getitem__)
    observer = Observer(Execution(plan=plan(resolved())), Room())  # type: ignore[arg-type]
    observer.seen.answering = {candidate.id: kit(candidate) for candidate in (BASELINE, INT8)}
    pixels = {split: PixelSet(split=split, file=Path("/nowhere"), sha256="a", images=4) for split in observe.SPLITS}
    observer.evaluate_all(pixels)
    assert observer.seen.failures[INT8.id].ref == "logits-not-finite"
    assert {name for name, _ in observer.seen.evaluations} == {BASELINE.id}
