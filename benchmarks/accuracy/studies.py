"""What is trained: each row of the tables as a recipe that anybody could write, and the order in which a machine does them.

Nothing here is chosen by the images that are reported on: what a row does not state is edgecnn's own default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

SEEDS = (0, 1, 2)
DIVISIONS = (0, 1, 2, 3, 4)
"""Seeds by which all photographs are divided anew into the roles."""
Data = Literal["photographs", "photographs-third", "photographs-pooled", "fashion-mnist"]
LITE0: Mapping[str, Any] = {"arch": "efficientnet-lite0", "weights": "imagenet"}
ALL_BUT_FEW = 0.05
"""Share of Fashion-MNIST's 60,000 that chooses the best epoch; 300 more are kept to calibrate, and the rest is trained on."""


@dataclass(frozen=True)
class Study:
    """One row: a recipe, to be trained with every seed on every division."""

    id: str
    title: str
    data: Data
    model: Mapping[str, Any]
    train: Mapping[str, Any] = field(default_factory=dict)
    divisions: tuple[int | None, ...] = (None,)
    """None: the data's own split reports."""
    goal: float | None = None
    """Mean top-1 that this row should reach, 0…1."""


@dataclass(frozen=True)
class Run:
    """One training of a row."""

    study: Study
    seed: int
    division: int | None

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.study.id}-seed{self.seed}" + ("" if self.division is None else f"-division{self.division}")


def _photographs(name: str, title: str, train: Mapping[str, Any], goal: float | None = None) -> tuple[Study, Study]:
    study = Study(f"photographs-{name}", title, "photographs", LITE0, train, goal=goal)
    again = Study(f"divided-{name}", title, "photographs-pooled", LITE0, train, DIVISIONS)
    return study, again


HEAD = _photographs("head", "head alone, softmax regression", {"transfer": "head", "head": "softmax"}, 0.85)
LAST = _photographs("last", "head, then the last third of the blocks", {"transfer": "last"})
ALL = _photographs("all", "head, then every layer", {"transfer": "all"})
AUTO = _photographs("auto", "`--transfer auto`", {"transfer": "auto"})
FORCED = ("head", "last", "all")
DEFAULT = Study("photographs-default", "fine-tuned by default", "photographs", LITE0, goal=0.93)
RIVALS = tuple(
    Study(f"rival-{name}", title, "photographs", LITE0)
    for name, title in (
        ("fastai", "fastai's `fine_tune`"),
        ("timm", "timm's parts, layer decay 0.8"),
        ("expert", "a PyTorch loop by hand"),
    )
)
"""The same network and photographs in other tools: ``rivals.py`` trains them."""

_STRONG = [{"kind": "crop", "area": [0.35, 1.0], "aspect": 1.33}, {"kind": "flip"}, {"kind": "randaugment"}]
_MIXED = [{"kind": "crop", "area": [0.6, 1.0]}, {"kind": "flip"}, {"kind": "mixup", "p": 0.5}, {"kind": "cutmix", "p": 0.5}]
FINETUNING = tuple(
    Study(
        f"third-{name}-{epochs}",
        f"{title}, {epochs} epochs",
        "photographs-third",
        {**LITE0, "resolution_px": 128},
        {"epochs": epochs, "batch_size": 64, **train},
    )
    for epochs in (2, 6, 16)
    for name, title, train in (
        ("tenth", "pretrained layers at a tenth of the rate", {"body_rate": 0.1}),
        ("equal", "pretrained layers at the same rate", {"body_rate": 1.0}),
        ("unsmoothed", "without label smoothing", {"label_smoothing": 0.0}),
        ("strong", "stronger augmentation", {"augment": _STRONG}),
        ("batch-16", "batches of 16 images", {"batch_size": 16, "learning_rate": 7e-4}),
        ("mixed", "mixup and cutmix", {"augment": _MIXED}),
    )
)
"""Settings of fine-tuning at three budgets, on a third of the photographs so that the rest of them can judge."""

FASHION = (
    Study("fashion-lenet-5", "LeNet-5, 32 px, 20 epochs", "fashion-mnist", {"arch": "lenet-5"}, {"epochs": 20}, goal=0.89),
    Study(
        "fashion-resnet-18-quarter",
        "ResNet-18, a quarter of its width, 64 px",
        "fashion-mnist",
        {"arch": "resnet-18", "scale": "width=0.25,resolution=64"},
        goal=0.91,
    ),
)
_EQUAL: Mapping[str, Any] = {"scratch": "resnet", "epochs": 3}
DEPTH = tuple(
    Study(f"fashion-{name}", f"{title}, 32 px, 3 epochs", "fashion-mnist", {"arch": name, "resolution_px": 32}, _EQUAL)
    for name, title in (("resnet-34", "ResNet-34"), ("plain-34", "plain-34"))
)
STUDIES: tuple[Study, ...] = (
    DEFAULT,
    *RIVALS,
    *FINETUNING,
    *FASHION,
    *DEPTH,
    *(row for pair in (HEAD, LAST, ALL, AUTO) for row in pair),
)


def runs() -> Iterator[Run]:
    """Every training, cheap and telling ones first; a division is finished by every row before the next one begins."""
    transfers = [pair[0] for pair in (HEAD, ALL, LAST, AUTO)]
    again = [pair[1] for pair in (HEAD, ALL, LAST, AUTO)]
    for seed in SEEDS:
        for study in (DEFAULT, *FASHION, *transfers[:2]):
            yield Run(study, seed, None)
    for seed in SEEDS:
        for study in (*FINETUNING, *DEPTH, *transfers[2:]):
            yield Run(study, seed, None)
    for division in DIVISIONS:
        for seed in SEEDS:
            for study in again:
                yield Run(study, seed, division)
