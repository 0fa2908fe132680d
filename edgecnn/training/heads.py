"""Heads on frozen features: compute the features once, and train a new last layer on them.

The frozen network runs in torch, or in ONNX Runtime if there are many images. EfficientNet-Lite0 at 224 px processes 180 images/s
in ONNX Runtime, with normalization in its graph, and 118 in torch (the same process, two cores). The export takes 8 s, which
pays off from 1,400 images and their mirror images on.

Heads are a linear layer trained with AdamW, a linear SVM, softmax regression by scikit-learn, and nearest neighbours. The last
three are fitted with several settings, and the best on ``validation`` is kept. Training a head takes seconds, so it writes no
checkpoint; after an interruption it is trained again, with the same result.
"""

from __future__ import annotations

import copy
import math
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from torch import Tensor, nn

from edgecnn.errors.training import training_diverged
from edgecnn.models.networks import NeighbourHead, replace_head
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.training.augment import centred, level_statistics, normalized, stream_seed
from edgecnn.training.checkpoint import write_tensors
from edgecnn.training.history import BestFacts, EpochFacts, ordinal
from edgecnn.training.loop import PhaseResult
from edgecnn.training.losses import class_weights, images_by_position, label_loss, multi_label_loss
from edgecnn.training.material import DecodedImages, Material, mean_recall, top1, validation_figures, validation_loss
from edgecnn.training.process import device_of, moved_to_device
from edgecnn.training.settings import TrainSettings, batch_count
from edgecnn.values.arch import ArchSpec
from edgecnn.values.augmentation import mirrored_share
from edgecnn.values.preprocessing import Normalization
from edgecnn.values.stage import Progress

Pixels = npt.NDArray[np.uint8]
AT_ONCE = 8
"""Images in one run of ONNX Runtime. Feature maps of more images don't fit the caches; 4 and 8 were the fastest of 1 to 16."""
FeatureFunction = Callable[[Pixels], Tensor]
"""Images uint8 (N, H, W, 3) → features (N, F), fp32."""

MANY_MACS = 1e12
"""Multiply-adds of all images from which on the export saves time: 2,600 images for EfficientNet-Lite0 at 224 px, and 240 for
ResNet-50. Small networks at 64 px need more images than most folders have."""


class Work(NamedTuple):
    """Work of a frozen network."""

    macs: float
    """Multiply-adds of all images."""
    scratch: Path
    """Folder for the temporary ONNX file."""
    tell: Progress


def macs_at(spec: ArchSpec, size_px: ImageSize) -> float:
    """Return the multiply-adds of one image, proportional to its area, since nearly all are in convolutions; 0 if unknown."""
    return (spec.macs or 0) * size_px.area_px / spec.resolution_px.area_px


def torch_features(network: nn.Module, normalization: Normalization) -> FeatureFunction:
    """Return the features by torch, with the network in evaluation mode and without gradients."""
    network.eval()
    device = device_of(network)

    @torch.no_grad()
    def compute(pixels: Pixels) -> Tensor:
        planes = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
        return network(normalized(planes, normalization).to(device)).cpu()  # type: ignore[no-any-return]

    return compute


def onnxruntime_features(network: nn.Module, normalization: Normalization, size_px: ImageSize, scratch: Path) -> FeatureFunction:
    """Return the features by ONNX Runtime.

    ``network``: fp32 (N, 3, H, W) → fp32 (N, F); it is set to evaluation mode. ``scratch``: folder for the temporary ONNX file.
    Raises WRONG_OPSET: see ``export_onnx``.
    """
    import onnxruntime

    from edgecnn.graph.export import export_example

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()  # set by repeatable()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # 9 % slower if cores are idle, 50 % faster if busy
    options.use_deterministic_compute = True
    options.log_severity_level = 4  # errors are raised anyway
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        path = Path(folder, "frozen.onnx")
        export_example(_FromPixels(network, normalization), torch.zeros(2, *size_px, 3, dtype=torch.uint8), path)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def compute(pixels: Pixels) -> Tensor:
        starts = range(0, len(pixels), AT_ONCE)
        parts = [session.run(None, {name: np.ascontiguousarray(pixels[start : start + AT_ONCE])})[0] for start in starts]
        return torch.from_numpy(np.concatenate(parts))

    return compute


def choose_features(network: nn.Module, normalization: Normalization, shown: Pixels, work: Work) -> FeatureFunction:
    """Return the faster way to compute the features: ONNX Runtime for much work on the CPU, and torch otherwise.

    If rounding changes the features of ONNX Runtime too much, a note says so and torch is used. ``shown``: images on which both
    are compared, one more than ``AT_ONCE``. Raises WRONG_OPSET: see ``export_onnx``.
    """
    plain = torch_features(network, normalization)
    if work.macs < MANY_MACS or device_of(network).type != "cpu":
        return plain
    work.tell.step("export the frozen network", 0, 1)
    fast = onnxruntime_features(network, normalization, ImageSize(*shown.shape[1:3]), work.scratch)
    work.tell.step("export the frozen network", 1, 1)
    expected = plain(shown)
    apart, allowed = float((fast(shown) - expected).abs().max()), 1e-3 * float(expected.abs().max())
    if not apart <= allowed:
        work.tell.note(f"features come from torch: ONNX Runtime's differ by {apart:.3g}, {allowed:.3g} is allowed")
        return plain
    return fast


class _FromPixels(nn.Module):
    """The network with normalization before it, bit for bit as by ``augment.normalized``."""

    def __init__(self, network: nn.Module, normalization: Normalization) -> None:
        super().__init__()
        self.network = network
        mean, std = level_statistics(normalization)
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.network((pixels.permute(0, 3, 1, 2).to(torch.float32) - self.mean) / self.std)  # type: ignore[no-any-return, operator]


BATCH = 64
PARTS = "features-*.safetensors"
PART = 512
"""Images in a part file. An interruption costs at most one part."""


class Features(NamedTuple):
    """Inputs of the last layer, float32, and labels: classes int64 (N,), or for multi-label images uint8 (N, classes)."""

    train: Tensor
    """(N, F)."""
    mirrored: Tensor
    """(N, F), of the mirrored training images."""
    labels: Tensor
    validation: Tensor
    """(M, F)."""
    validation_labels: Tensor


@contextmanager
def head_removed(network: nn.Module, spec: ArchSpec) -> Iterator[nn.Module]:
    """Replace the last layer by the identity in this context."""
    head = network.get_submodule(spec.head)
    replace_head(network, spec, nn.Identity())
    try:
        yield network
    finally:
        replace_head(network, spec, head)


def compute_features(body: nn.Module, material: Material, spec: ArchSpec, size_px: ImageSize) -> Features:
    """Return the features of the training images, mirrored and not, and of ``validation``. Existing part files are reused.

    ``spec``: the network, whose multiply-adds decide between torch and ONNX Runtime.
    """
    decoded, validation = material.decoded, material.validation

    @cache
    def forward() -> FeatureFunction:  # only if a part is missing, because the export takes seconds
        shown = centred(decoded.read(range(min(AT_ONCE + 1, len(decoded)))), size_px)
        work = Work(len(decoded) * macs_at(spec, size_px), material.folder, material.tell)
        return choose_features(body, validation.normalization, shown, work)

    with moved_to_device(material.device, body):
        return _features(forward, material, size_px)


def _features(forward: Callable[[], FeatureFunction], material: Material, size_px: ImageSize) -> Features:
    decoded, validation = material.decoded, material.validation
    plain, mirrored = [], []
    for start in range(0, len(decoded), PART):
        stop = min(start + PART, len(decoded))
        file = _part_file(material, f"features-{start:07d}.safetensors")
        if not file.exists():
            write_tensors(_compute_part(forward(), decoded, range(start, stop), size_px), file)
        part = load_file(file)
        plain.append(part["plain"])
        mirrored.append(part["mirrored"])
        material.tell.step("compute features", stop, len(decoded), "images")
    labels = torch.from_numpy(decoded.labels)
    file = _part_file(material, "features-validation.safetensors")
    if not file.exists():
        parts = [forward()(validation.pixels[start : start + BATCH]) for start in range(0, len(validation), BATCH)]
        write_tensors({"validation": torch.cat(parts)}, file)
    return Features(torch.cat(plain), torch.cat(mirrored), labels, load_file(file)["validation"], validation.labels)


def _compute_part(compute: FeatureFunction, decoded: DecodedImages, positions: range, size_px: ImageSize) -> dict[str, Tensor]:
    features: dict[str, list[Tensor]] = {"plain": [], "mirrored": []}
    for start in range(positions.start, positions.stop, BATCH):
        batch = decoded.read(range(start, min(start + BATCH, positions.stop)))
        images = centred(batch, size_px)
        features["plain"].append(compute(images))
        features["mirrored"].append(compute(images[:, :, ::-1]))
    return {name: torch.cat(parts) for name, parts in features.items()}


def _part_file(material: Material, name: str) -> Path:
    """Return the file of a part: from an earlier stage if it is there, or else in this stage's folder."""
    made = None if material.features is None else material.features / name
    return made if made is not None and made.exists() else material.folder / name


NAME = "head"
DROPOUT = 0.2
"""Share of features that are set to 0 at random."""


def train_head(head: nn.Linear, features: Features, settings: TrainSettings) -> PhaseResult:
    """Train ``head`` in place, and load the weights of its best epoch on ``validation``.

    Raises TRAINING_DIVERGED: a loss is not finite.
    """
    optimizer = torch.optim.AdamW(head.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    size_px = settings.preprocessing.pixels.crop_px
    epochs: list[EpochFacts] = []
    best, kept = BestFacts(phase=NAME, epoch=-1, validation_top1=-1.0), head.state_dict()
    for epoch in range(settings.head_epochs):
        rate = settings.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / settings.head_epochs))
        optimizer.param_groups[0]["lr"] = rate
        loss = _epoch(head, features, settings, epoch, optimizer)
        with torch.no_grad():
            logits = head(features.validation)
        figures = validation_figures(logits, features.validation_labels)
        recall = None if settings.balance == "none" else mean_recall(logits, features.validation_labels)
        facts = EpochFacts(
            epoch=epoch,
            train_loss=loss,
            **figures,
            validation_loss=validation_loss(logits, features.validation_labels),
            validation_recall=recall,
            learning_rate=rate,
            resolution_px=size_px,
        )
        epochs.append(facts)
        if (facts.score or 0.0) > best.score:
            best = BestFacts(phase=NAME, epoch=epoch, **figures, validation_recall=recall)
            kept = copy.deepcopy(head.state_dict())
    head.load_state_dict(kept)
    return PhaseResult(tuple(epochs), best, "all epochs done")


def _epoch(head: nn.Linear, features: Features, settings: TrainSettings, epoch: int, optimizer: torch.optim.Optimizer) -> float:
    seed = stream_seed(settings.seed, NAME, epoch)
    random = torch.Generator().manual_seed(seed)
    labels, count = features.labels.numpy(), len(features.labels)
    several = labels.ndim == 2
    weights = None if several else class_weights(labels, settings.classes, settings.balance)
    shows = torch.from_numpy(images_by_position(labels, settings.balance, seed))
    order = torch.randperm(count, generator=random)
    loss_sum = 0.0
    for index, positions in enumerate(torch.tensor_split(order, batch_count(count, settings.batch_size))):
        images = shows[positions]
        mirror = torch.rand(len(positions), 1, generator=random) < mirrored_share(settings.augment)
        shown = torch.where(mirror, features.mirrored[images], features.train[images])
        kept = torch.rand(shown.shape, generator=random) >= DROPOUT
        logits = head(shown * kept / (1 - DROPOUT))
        right = features.labels[images]
        loss: Tensor = (
            multi_label_loss(logits, right.float(), settings.label_smoothing)
            if several
            else label_loss(logits, right, weights, settings.label_smoothing)
        )
        if not math.isfinite(loss.item()):
            rate = ("train.learning_rate", settings.learning_rate)
            raise training_diverged(phase=NAME, epoch=ordinal(epoch), batch=ordinal(index), kept=None, rate=rate)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        loss_sum += loss.item() * len(positions)
    return loss_sum / count


Classical = Literal["svm", "softmax", "knn"]
STRENGTHS = {"svm": (1e-5, 1e-4, 1e-3, 1e-2), "softmax": (1e-4, 1e-3, 1e-2, 1e-1)}
"""Inverse regularization strengths (scikit-learn's C) to try."""
NEIGHBOURS = (1, 3, 5, 10, 20)
"""Numbers of neighbours to try."""


class Fitted(NamedTuple):
    """The head that was best on ``validation``, and a sentence about the search."""

    head: nn.Module
    validation_top1: float
    summary: str


def fit_head(kind: Classical, features: Features, classes: int, *, mirrored: bool, seed: int) -> Fitted:
    """Fit a head with each setting, and return the best on ``validation``; of equals, the first, which is the simplest."""
    shown = [features.train, features.mirrored] if mirrored else [features.train]
    inputs = torch.cat(shown)
    labels = torch.cat([features.labels] * len(shown))
    tried: dict[float, nn.Module] = {}
    if kind == "knn":
        for k in (count for count in NEIGHBOURS if count <= len(inputs)):
            tried[k] = NeighbourHead.of(inputs, labels, classes, k)
    else:
        scale = StandardScaler().fit(inputs.numpy())
        scaled = scale.transform(inputs.numpy())
        for strength in STRENGTHS[kind]:
            if kind == "svm":
                solver = LinearSVC(C=strength, random_state=seed % 2**32, max_iter=5000)
            else:
                solver = LogisticRegression(C=strength, max_iter=500)
            tried[strength] = _as_linear_layer(solver.fit(scaled, labels.numpy()), scale, classes)
    with torch.no_grad():
        right = {strength: top1(head(features.validation), features.validation_labels) for strength, head in tried.items()}
    best = max(right, key=right.__getitem__)
    what = "k" if kind == "knn" else "C"
    name = {"svm": "linear SVM", "softmax": "softmax regression", "knn": "nearest neighbours by cosine"}[kind]
    summary = f"{name} on frozen features, {what} = {best:g} of {', '.join(f'{value:g}' for value in right)}"
    return Fitted(tried[best], right[best], summary)


def _as_linear_layer(model: Any, scale: Any, classes: int) -> nn.Linear:
    """Return scikit-learn's model and its scaling as one linear layer.

    For two classes scikit-learn has one row, for the second class. Half of it with each sign gives the same softmax.
    """
    weight, bias = np.asarray(model.coef_, np.float64), np.asarray(model.intercept_, np.float64)
    if len(weight) == 1 and classes == 2:
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    whole = np.zeros((classes, weight.shape[1])), np.full(classes, bias.min() - 1.0)
    whole[0][model.classes_], whole[1][model.classes_] = weight, bias
    folded = whole[0] / scale.scale_
    head = nn.Linear(weight.shape[1], classes)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(folded))
        head.bias.copy_(torch.from_numpy(whole[1] - folded @ scale.mean_))
    return head
