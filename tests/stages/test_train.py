from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from threadpoolctl import threadpool_info
from torch import Tensor

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.training import CLASSES_DIFFER, NOTHING_TO_TRAIN_ON, TRAINING_DIVERGED
from edgecnn.models.catalogue import arch_named
from edgecnn.models.networks import load_trained
from edgecnn.stages.learning import TrainStage
from edgecnn.training import loop
from edgecnn.training.batches import Batch
from edgecnn.training.material import Material
from edgecnn.training.process import repeatable
from edgecnn.training.schedule import Phase
from tests.data.folders import Heard
from tests.slow_parameters import slowly
from tests.stages.killed import killed_when
from tests.training.made import LENET, LITE, SMALL, Given, fetched, files_of, make_given, stage

PROGRAM = """
import json, sys
from pathlib import Path
from edgecnn.stages.learning import TrainStage
class Silent:
    def step(self, what, done, total=None, unit=""): pass
    def note(self, text): pass
settings, roles, out = json.loads(sys.argv[1]), json.loads(sys.argv[2]), Path(sys.argv[3])
TrainStage.model_validate(settings).make({role: Path(path) for role, path in roles.items()}, out, Silent())
"""


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    return make_given(tmp_path_factory.mktemp("given"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fetched(tmp_path_factory.mktemp("fetched") / "weights")


@pytest.fixture(scope="module")
def from_scratch(given: Given, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(stage(), given.roles(), tmp_path_factory.mktemp("scratch"))


@pytest.fixture(scope="module")
def fine_tuned(given: Given, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(stage(LITE, mode="finetune", epochs=2), given.roles(weights), tmp_path_factory.mktemp("finetune"))


def made(asked: TrainStage, roles: dict[str, Path], out: Path, heard: Heard | None = None) -> Path:
    asked.make(roles, out, heard or Heard())
    return out


def history(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "history.json").read_text()))


def command(asked: TrainStage, roles: dict[str, Path], out: Path) -> list[str]:
    words = [asked.model_dump_json(), json.dumps({role: str(path) for role, path in roles.items()}), str(out)]
    return [sys.executable, "-c", PROGRAM, *words]


def test_the_same_settings_give_the_same_bytes_on_fewer_cores(given: Given, from_scratch: Path, tmp_path: Path) -> None:
    """Threads that are more than the cores, or than OMP_NUM_THREADS, still divide the sums as the key says."""
    one_core = f"import os; os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}})\n{PROGRAM}"
    words = command(stage(), given.roles(), tmp_path)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*words[:2], one_core, *words[3:]], env=environment, check=True)
    assert (tmp_path / "weights.safetensors").read_bytes() == (from_scratch / "weights.safetensors").read_bytes()


@pytest.mark.parametrize("threads", [1, 3])
def test_torch_and_blas_compute_by_as_many_threads_as_the_key_says(threads: int) -> None:
    before = torch.get_num_threads()
    with repeatable(threads):
        pools = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
        assert (torch.get_num_threads(), pools) == (threads, {threads})
    assert torch.get_num_threads() == before
    versions = dict.fromkeys(stage().tools, "1")
    assert stage(threads=threads).key(versions) != stage(threads=threads + 1).key(versions)


def test_only_the_two_files_of_the_contract_are_left(from_scratch: Path, fine_tuned: Path) -> None:
    for out in (from_scratch, fine_tuned):
        assert set(files_of(out)) == {"history.json", "weights.safetensors"}


def test_the_weights_are_those_of_the_network_with_its_new_head(from_scratch: Path, fine_tuned: Path) -> None:
    for arch, out in ((SMALL, from_scratch), (LITE, fine_tuned)):
        load_trained(arch_named(arch), 10, out / "weights.safetensors")


def test_the_history_says_which_epoch_the_weights_are_of(from_scratch: Path) -> None:
    told = history(from_scratch)
    (phase,) = told["phases"]
    judged = {epoch["epoch"]: epoch["validation_top1"] for epoch in phase["epochs"] if epoch["validation_top1"] is not None}
    assert told["best"] == {
        "phase": "scratch",
        "epoch": max(judged, key=judged.__getitem__),
        "validation_top1": max(judged.values()),
    }
    assert told["initial"] == {"kind": "random", "sha256": None, "source": None}
    assert phase["epochs"][0]["train_loss"] > phase["epochs"][-1]["train_loss"]


def test_fine_tuning_names_the_weights_it_began_with(fine_tuned: Path, weights: Path) -> None:
    told = history(fine_tuned)
    assert [phase["name"] for phase in told["phases"]] == ["head", "finetune"]
    assert told["initial"]["sha256"] == json.loads((weights / "weights.json").read_text())["sha256"]


def test_pretrained_features_beat_random_weights_on_the_same_few_images(from_scratch: Path, fine_tuned: Path) -> None:
    assert history(fine_tuned)["best"]["validation_top1"] > history(from_scratch)["best"]["validation_top1"]
    assert history(fine_tuned)["best"]["validation_top1"] > 0.5


def test_fine_tuning_keeps_the_batch_norm_statistics(fine_tuned: Path, weights: Path) -> None:
    before, after = load_file(weights / "weights.safetensors"), load_file(fine_tuned / "weights.safetensors")
    statistics = [name for name in after if name.endswith(("running_mean", "running_var"))]
    assert statistics
    assert all(bool((before[name] == after[name]).all()) for name in statistics)


@pytest.mark.parametrize("moment", ["resume/scratch.checkpoint.safetensors", *slowly("resume/decoded.part")])
def test_a_training_killed_and_continued_leaves_the_same_bytes(
    moment: str, given: Given, from_scratch: Path, tmp_path: Path
) -> None:
    killed_when(moment, command(stage(), given.roles(), tmp_path), tmp_path)
    assert not (tmp_path / "history.json").exists()
    made(stage(), given.roles(), tmp_path)
    assert files_of(tmp_path) == files_of(from_scratch)


@pytest.mark.parametrize(
    "moment",
    slowly("resume/finetune.checkpoint.safetensors", "resume/features-0000000.safetensors"),
)
def test_a_fine_tuning_killed_and_continued_leaves_the_same_bytes(
    moment: str, given: Given, weights: Path, fine_tuned: Path, tmp_path: Path
) -> None:
    asked = stage(LITE, mode="finetune", epochs=2)
    killed_when(moment, command(asked, given.roles(weights), tmp_path), tmp_path)
    assert not (tmp_path / "history.json").exists()
    made(asked, given.roles(weights), tmp_path)
    assert files_of(tmp_path) == files_of(fine_tuned)


def test_the_kept_weights_are_always_those_of_an_epoch_in_the_checkpoint(
    given: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, roles, resume = stage(LENET, epochs=2), given.roles(), tmp_path / "resume"
    save, write = loop.save_checkpoint, loop.write_tensors

    def killed_before_the_second_epoch_is_saved(file: Path, state: Any, epochs: list[Any]) -> None:
        if len(epochs) == 2:
            raise KeyboardInterrupt
        save(file, state, epochs)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    def kept() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        checkpoint = load_file(resume / "scratch.checkpoint.safetensors")
        average = {name.removeprefix("average."): checkpoint[name] for name in checkpoint if name.startswith("average.")}
        return load_file(resume / "scratch.best.safetensors"), average

    monkeypatch.setattr(loop, "write_tensors", killed)
    with pytest.raises(KeyboardInterrupt):
        made(asked, roles, tmp_path)
    monkeypatch.setattr(loop, "write_tensors", write)
    monkeypatch.setattr(loop, "save_checkpoint", killed_before_the_second_epoch_is_saved)
    heard = Heard()
    with pytest.raises(KeyboardInterrupt):
        made(asked, roles, tmp_path, heard)
    assert any("continues after epoch 1 of scratch" in note for note in heard.notes)
    best, average = kept()
    assert best.keys() == average.keys() and all(torch.equal(best[name], average[name]) for name in best)


@pytest.mark.slow  # two trainings
def test_two_processes_agree_on_every_byte(given: Given, from_scratch: Path, tmp_path: Path) -> None:
    subprocess.run(command(stage(), given.roles(), tmp_path), check=True)
    assert files_of(tmp_path) == files_of(from_scratch)


def test_a_kill_while_clearing_up_changes_nothing(given: Given, tmp_path: Path, from_scratch: Path) -> None:
    for name in files_of(from_scratch):
        (tmp_path / name).write_bytes((from_scratch / name).read_bytes())
    (tmp_path / "resume").mkdir()
    (tmp_path / "resume" / "scratch.checkpoint.safetensors").write_bytes(b"half")
    assert files_of(made(stage(), given.roles(), tmp_path)) == files_of(from_scratch)


@pytest.mark.slow  # trains once more
def test_another_seed_gives_other_weights(given: Given, from_scratch: Path, tmp_path: Path) -> None:
    other = made(stage(seed=1), given.roles(), tmp_path)
    assert files_of(other)["weights.safetensors"] != files_of(from_scratch)["weights.safetensors"]


def test_progress_ends_at_its_total(given: Given, tmp_path: Path) -> None:
    heard = Heard()
    made(stage(LENET, epochs=2), given.roles(), tmp_path, heard)
    told = [step for step in heard.steps if step[0] == "train"]
    assert [done for _, done, _, _ in told] == sorted(done for _, done, _, _ in told)
    assert told[-1] == ("train", 2 * 128, 2 * 128, "images")


def test_the_patience_ends_a_training(given: Given, tmp_path: Path) -> None:
    told = history(made(stage(LENET, epochs=9, learning_rate=1e-9, patience=1), given.roles(), tmp_path))
    assert len(told["phases"][0]["epochs"]) < 9
    assert told["stopped"] == "no better epoch in 1"


def test_no_epochs_leave_a_new_head_on_the_frozen_network(given: Given, weights: Path, tmp_path: Path) -> None:
    out = made(stage(LITE, mode="finetune", epochs=0), given.roles(weights), tmp_path)
    assert history(out)["best"]["phase"] == "head"
    before, after = load_file(weights / "weights.safetensors"), load_file(out / "weights.safetensors")
    body = [name for name in after if not name.startswith("classifier.1.")]
    assert all(bool((before[name] == after[name]).all()) for name in body)


def test_a_loss_that_is_no_number_is_named_and_no_weights_are_left(given: Given, tmp_path: Path) -> None:
    with pytest.raises(
        EdgecnnError,
        match="phase scratch, epoch 1, batch .* not a finite number — try --set train.learning_rate=3e",
        check=TRAINING_DIVERGED.made,
    ):
        made(stage(LENET, learning_rate=1e30), given.roles(), tmp_path)
    assert not (tmp_path / "weights.safetensors").exists()


@pytest.mark.parametrize(
    ("epoch", "kept", "name"),
    [
        pytest.param(2, "the state after epoch 1", "scratch.checkpoint", id="while pictures are small and none is judged"),
        pytest.param(4, "the best checkpoint so far", "scratch.best", id="when one was judged"),
    ],
)
def test_a_loss_that_is_no_number_later_on_names_what_is_kept(
    epoch: int, kept: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "resume" / f"{name}.safetensors"

    def planted(phase: Phase, turned: Batch, material: Material) -> Callable[[Tensor], Tensor]:
        plain = from_labels(phase, turned, material)
        return lambda logits: plain(logits) * (float("nan") if file.exists() else 1)

    from_labels = loop._loss_by_labels
    monkeypatch.setattr(loop, "_loss_by_labels", planted)
    with pytest.raises(EdgecnnError, match=f"phase scratch, epoch {epoch}, batch 1: ", check=TRAINING_DIVERGED.made) as told:
        made(stage(epochs=4, size_px=64), make_given(tmp_path, train=32, validation=16, size_px=64).roles(), tmp_path)
    assert f"; {kept} is kept in {file} — " in told.value.line()
    assert all(tensor.isfinite().all() for tensor in load_file(file).values())


def test_a_fine_tuning_that_diverges_at_once_leaves_the_head_alone(given: Given, weights: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, match="phase finetune, epoch 1, batch", check=TRAINING_DIVERGED.made) as told:
        made(stage(LITE, mode="finetune", learning_rate=1e20, weight_decay=0.0), given.roles(weights), tmp_path)
    kept = tmp_path / "resume" / "head.best.safetensors"
    assert f"the best checkpoint so far is kept in {kept} — " in told.value.line()
    network = load_trained(arch_named(LITE), 10, kept)
    assert all(tensor.isfinite().all() for tensor in network.state_dict().values())


@pytest.mark.parametrize(("role", "counts"), [("train", {"train": 0}), ("validation", {"validation": 0})])
def test_an_empty_role_is_named_before_any_work(role: str, counts: dict[str, int], tmp_path: Path) -> None:
    empty = make_given(tmp_path, **counts)
    (tmp_path / "out").mkdir()
    with pytest.raises(EdgecnnError, match=f"no {role} images", check=NOTHING_TO_TRAIN_ON.made):
        made(stage(), empty.roles(), tmp_path / "out")


def test_a_plan_for_other_classes_is_refused(given: Given, tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, match="9 classes, but the images have 10", check=CLASSES_DIFFER.made):
        made(stage(classes=9), given.roles(), tmp_path)


def test_the_judge_reads_choose_alone(given: Given) -> None:
    assert sorted(path.name for path in given.pixels.iterdir()) == ["validation.labels.npy", "validation.pixels.npy"]
    assert len(np.load(given.pixels / "validation.labels.npy")) == 48


def test_every_setting_enters_the_key() -> None:
    versions = dict.fromkeys(stage(mode="finetune").tools, "1")
    changed: list[dict[str, object]] = [
        {"arch": "resnet-18"}, {"classes": 9}, {"mode": "finetune"}, {"epochs": 4}, {"head_epochs": 6}, {"batch_size": 33},
        {"learning_rate": 1e-3}, {"weight_decay": 0.5}, {"label_smoothing": 0.2}, {"patience": 6}, {"seed": 1},
    ]  # fmt: skip
    keys = {stage(**{"arch": SMALL, **change}).key(versions) for change in [{}, *changed]}
    assert len(keys) == len(changed) + 1
