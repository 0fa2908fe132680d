"""How epochs are counted: from 1 for people, in notices, errors, curves and on the page."""

from __future__ import annotations

from collections.abc import Mapping

from edgecnn.training.history import BestFacts, EpochFacts, tell_epochs
from tests.store.toys import Ear


class Plotter(Ear):
    """A listener that keeps what is drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[tuple[str, int]] = []

    def begin(self, step_id: str) -> None:
        del step_id

    def plot(self, phase: str, epoch: int, figures: Mapping[str, float]) -> None:
        del figures
        self.drawn.append((phase, epoch))


def test_the_first_epoch_is_epoch_1_wherever_people_read_it() -> None:
    epochs = [
        EpochFacts(epoch=index, train_loss=1.0, validation_top1=0.5, learning_rate=0.1, resolution_px=32) for index in range(3)
    ]
    told = Plotter()
    tell_epochs(told, "scratch", epochs)
    assert told.drawn == [("scratch", 1), ("scratch", 2), ("scratch", 3)]
    assert [facts.number for facts in epochs] == [1, 2, 3]
    assert BestFacts(phase="scratch", epoch=2, validation_top1=0.5).number == 3
