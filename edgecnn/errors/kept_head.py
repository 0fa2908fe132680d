"""Failures of a network that is taken with its weights' own head."""

from __future__ import annotations

from edgecnn.errors.base import EdgecnnError


class NoHeadToKeep(EdgecnnError):
    """Raised when the head of weights is to be kept and there are no weights."""

    ref = "no-head-to-keep"

    def __init__(self, *, arch: str, why: str) -> None:
        super().__init__(
            what=f"--keep-head keeps what {arch} learned, and there are no weights",
            because=why,
            hint="--weights imagenet or a FILE",
        )


class NothingTrainsKeptHead(EdgecnnError):
    """Raised when something of training is asked for beside a head that is kept."""

    ref = "kept-head-and-training"

    def __init__(self, *, asked: str) -> None:
        super().__init__(
            what=f"--keep-head and {asked} contradict each other",
            because="with its weights' own head a network is taken as it is, and nothing is trained",
            hint="leave one of them out",
        )


class NoDataForHead(EdgecnnError):
    """Raised when a kept head is to be judged on the demo, whose classes are others."""

    ref = "kept-head-without-data"

    def __init__(self) -> None:
        super().__init__(
            what="--keep-head needs photographs of the classes that the head knows",
            because="the embedded demo has ten classes of its own",
            hint="--data imagenet/val, with a folder a WordNet id, or some of those folders",
        )


class HeadDiffers(EdgecnnError):
    """Raised when kept weights answer with another number of classes than the images are of."""

    ref = "kept-head-differs"

    def __init__(self, *, file: str, classes: int, found: int) -> None:
        super().__init__(
            what=f"the head in {file} answers with {classes:,} classes, and the images are of {found:,}",
            because="a head that is kept is not trained anew",
            hint="--set data.classes=imagenet where the 1,000 classes are ImageNet's, or leave --keep-head out",
        )
