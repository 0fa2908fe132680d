"""Several processes train one network: the result is one process's, a killed one costs an epoch, and failures come through."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from edgecnn.errors.base import EdgecnnError, ErrorRow
from edgecnn.errors.training import (
    BATCH_TOO_SMALL_TO_SHARE,
    PROCESSES_LOST,
    TOO_MANY_PROCESSES,
    TRAINING_DIVERGED,
)
from edgecnn.stages.learning import TrainStage
from edgecnn.training.parallel import torchrun as together
from tests.data.folders import Heard
from tests.house.child import child
from tests.training.made import LITE, Given, fetched, files_of, losses, make_given, stage

pytestmark = pytest.mark.slow  # several processes train

MIXED = [
    {"kind": "crop", "area": [0.8, 1.0], "aspect": 1.2},
    {"kind": "mixup", "alpha": 0.2, "p": 1.0},
    {"kind": "cutmix", "alpha": 1.0, "p": 0.5},
]

TOLERANCE = 1e-3
"""Of an epoch's mean loss after few steps of SGD; rounding differences grow with every step."""


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    return make_given(tmp_path_factory.mktemp("given"), train=38, validation=16)  # batches of 19: not even for two


def short(**changes: object) -> TrainStage:
    return stage(**{"epochs": 2, "batch_size": 16, "scratch": "resnet", "learning_rate": 0.02, "processes": 2, **changes})


@pytest.fixture(scope="module")
def shared(given: Given, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("shared")
    short().make(given.roles(), out, Heard())
    return out


@pytest.mark.slow  # trains twice, once by two processes
def test_two_processes_learn_what_one_does(given: Given, shared: Path, tmp_path: Path) -> None:
    short(processes=1).make(given.roles(), tmp_path, Heard())
    assert losses(shared) == pytest.approx(losses(tmp_path), rel=TOLERANCE)
    assert set(files_of(shared)) == {"history.json", "weights.safetensors"}


@pytest.mark.slow  # two processes train
def test_a_folder_may_be_named_as_no_url_is(given: Given, tmp_path: Path) -> None:
    out = tmp_path / "a#b?c"
    out.mkdir()
    short(epochs=1).make(given.roles(), out, Heard())
    assert set(files_of(out)) == {"history.json", "weights.safetensors"}
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


class Killing(Heard):
    """Ends one of the processes, for good, when the second epoch has begun: the last that was started, or another."""

    def __init__(self, out: Path, times: int = 1, which: int = -1) -> None:
        super().__init__()
        self.out, self.left, self.which, self.notes = out, times, which, list[str]()

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        if what == "train" and self.left and done > 40:
            self.left -= 1
            os.kill(workers_in(self.out)[self.which], signal.SIGKILL)

    def note(self, text: str) -> None:
        self.notes.append(text)


def workers_in(out: Path) -> list[int]:
    """Process numbers of those that train in this folder, without torchrun, which started them."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        if str(out / "resume" / "together") in words and "torch.distributed.run" not in words:
            found.append(int(place.name))
    return sorted(found)


@pytest.mark.slow  # trains, is killed, and trains on
@pytest.mark.parametrize(
    "which", [pytest.param(0, id="the one that keeps the checkpoints"), pytest.param(-1, id="another", marks=pytest.mark.slow)]
)
def test_a_killed_process_changes_no_byte_of_the_result(which: int, given: Given, shared: Path, tmp_path: Path) -> None:
    heard = Killing(tmp_path, which=which)
    short().make(given.roles(), tmp_path, heard)
    assert heard.left == 0
    assert "a training process was lost; all 2 began again from the last epoch that was kept" in heard.notes
    assert files_of(tmp_path) == files_of(shared)


@pytest.mark.slow
def test_a_process_that_is_lost_each_time_ends_the_training_and_the_next_call_goes_on(
    given: Given, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "RESTARTS", 0)
    with pytest.raises(EdgecnnError, check=PROCESSES_LOST.made):
        short().make(given.roles(), tmp_path, Killing(tmp_path))
    assert (tmp_path / "resume" / "scratch.checkpoint.safetensors").exists()
    short().make(given.roles(), tmp_path, Heard())
    assert files_of(tmp_path) == files_of(shared)


class Interrupting(Heard):
    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        if what == "train" and done > 40:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_no_process_outlives_an_interruption(given: Given, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        short().make(given.roles(), tmp_path, Interrupting())
    wait_for_none_in(tmp_path)


STARTER = """
import sys
from pathlib import Path
from edgecnn.stages.learning import TrainStage
from tests.data.folders import Heard

asked, images, pixels, out = sys.argv[1:]
TrainStage.model_validate_json(asked).make({"images": Path(images), "pixels": Path(pixels)}, Path(out), Heard())
"""


@pytest.mark.slow
def test_no_process_outlives_who_started_it_and_the_next_call_goes_on(given: Given, shared: Path, tmp_path: Path) -> None:
    words = [short().model_dump_json(), str(given.images), str(given.pixels), str(tmp_path)]
    with child([sys.executable, "-c", STARTER, *words], piped=False) as starter:
        while len(workers_in(tmp_path)) < 2:
            assert starter.poll() is None
            time.sleep(0.05)
    wait_for_none_in(tmp_path)
    short().make(given.roles(), tmp_path, Heard())
    assert files_of(tmp_path) == files_of(shared)


def wait_for_none_in(out: Path) -> None:
    until = time.monotonic() + 30
    while workers_in(out):
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.slow  # starts two processes of torch
def test_a_loss_that_is_no_number_names_its_batch_and_is_not_tried_again(given: Given, tmp_path: Path) -> None:
    raised = []
    for processes in (1, 2):
        out = tmp_path / str(processes)
        out.mkdir()
        with pytest.raises(EdgecnnError, check=TRAINING_DIVERGED.made) as met:
            short(processes=processes, learning_rate=1e30).make(given.roles(), out, heard := Killing(out, times=0))
        raised.append(str(met.value))
    assert raised[0] == raised[1]
    assert "phase scratch, epoch 1, batch 2" in raised[0]
    assert not heard.notes


class Obstructing(Heard):
    """Puts a folder where a process will write its checkpoint."""

    def __init__(self, out: Path) -> None:
        super().__init__()
        self.place, self.notes = out / "resume" / "scratch.checkpoint.part", list[str]()

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        if what == "train":
            self.place.mkdir(exist_ok=True)

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.mark.slow  # starts two processes of torch
def test_what_the_system_refuses_a_process_is_told_as_such_and_not_tried_again(given: Given, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="(?i)is a directory") as met:
        short().make(given.roles(), tmp_path, heard := Obstructing(tmp_path))
    assert met.value.errno == errno.EISDIR
    assert not heard.notes


@pytest.mark.parametrize(
    ("changes", "refusal"), [({"processes": 3}, TOO_MANY_PROCESSES), ({"batch_size": 3}, BATCH_TOO_SMALL_TO_SHARE)], ids=str
)
def test_what_processes_cannot_share_is_refused_before_a_picture_is_decoded(
    changes: dict[str, int], refusal: ErrorRow, given: Given, tmp_path: Path
) -> None:
    with pytest.raises(EdgecnnError, check=refusal.made):
        short(**changes).make(given.roles(), tmp_path, heard := Heard())
    assert not heard.steps


def test_one_process_is_left_out_of_the_key() -> None:
    assert "processes" not in short(processes=1).model_dump()
    assert short().model_dump()["processes"] == 2


@pytest.mark.slow
def test_mixed_images_and_a_slow_average_are_shared_too(given: Given, tmp_path: Path) -> None:
    found = []
    for processes in (1, 2):
        out = tmp_path / str(processes)
        out.mkdir()
        mixed = {"arch": "efficientnet-b0", "scratch": "modern", "augment": MIXED, "learning_rate": 1e-3}
        short(**mixed, processes=processes).make(given.roles(), out, Heard())
        found.append(losses(out))
    assert found[0] == pytest.approx(found[1], rel=0.02)


@pytest.mark.slow
def test_steps_in_bf16_are_shared_too(given: Given, tmp_path: Path) -> None:
    found = []
    for precision, processes in (("bf16", 1), ("bf16", 2), ("fp32", 2)):
        out = tmp_path / f"{precision}-{processes}"
        out.mkdir()
        short(arch="resnet-18", precision=precision, learning_rate=1e-3, processes=processes).make(given.roles(), out, Heard())
        found.append(losses(out))
    assert found[0] == pytest.approx(found[1], rel=0.05), "sums in another order, rounded to eight bits: 0.024 was seen"
    assert found[1] != found[2], "both processes round"


@pytest.mark.slow
@pytest.mark.parametrize("asked", [{}, {"transfer": "last"}, {"unfreeze": "groups"}, {"balance": "weights"}], ids=str)
def test_fine_tuning_is_shared_too(asked: dict[str, str], given: Given, tmp_path: Path) -> None:
    roles = given.roles(fetched(tmp_path / "weights"))
    found = []
    for processes in (1, 2):
        out = tmp_path / str(processes)
        out.mkdir()
        short(arch=LITE, mode="finetune", learning_rate=1e-3, processes=processes, **asked).make(roles, out, Heard())
        found.append(losses(out))
    assert found[0] == pytest.approx(found[1], rel=0.02)
