"""Where a training will begin: settled once in resolve, kept in ``plan.json``, and said to the reader word for word."""

from __future__ import annotations

from typing import Literal

from edgecnn.values.base import Value


class WeightsAnswer(Value):
    """What ``--weights`` came to on this machine. Only what is fetched enters a key; where it lay does not."""

    choice: str
    """What was asked: auto, imagenet, none, or a path."""
    kind: Literal["cached", "package", "download", "file", "onnx", "none"]
    """cached: store or torch hub. onnx: the weights inside a model that was brought. none: from scratch, and ``why`` says
    whether by wish or for want of weights."""
    path: str | None = None
    """Where it lies on this machine: a file, or the store's folder of the fetched weights. None before a download."""
    sha256: str | None = None
    """Of the original file, where it is known before fetching."""
    asked: bool = False
    """True when the network was asked."""
    why: str
    """One sentence."""

    @property
    def pretrained(self) -> bool:
        """True when training begins from weights that were learned before."""
        return self.kind != "none"

    @property
    def fell_back(self) -> bool:
        """True when weights were wished for (``auto``) and none could be had: to be said loudly, never silently."""
        return self.kind == "none" and self.choice == "auto"
