"""k nearest neighbours as the last layer: a table of training features inside the network, so that one file is the classifier."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

PROTOTYPES = "prototypes.weight"
"""The tensor by which a file of weights is known to end in neighbours."""


class NeighbourHead(nn.Module):
    """Share of the ``k`` nearest training images, by cosine, that each class has."""

    k: Tensor
    votes: Tensor

    def __init__(self, count: int, inputs: int, classes: int, k: int) -> None:
        super().__init__()
        self.neighbours = k
        self.prototypes = nn.Linear(inputs, count, bias=False)
        self.register_buffer("votes", torch.zeros(count, classes))
        self.register_buffer("k", torch.tensor(k))

    @property
    def in_features(self) -> int:
        """Of each image."""
        return self.prototypes.in_features

    @classmethod
    def of(cls, features: Tensor, labels: Tensor, classes: int, k: int) -> NeighbourHead:
        """A head that remembers ``features`` (N, F) with their ``labels`` (N,)."""
        head = cls(len(features), features.shape[1], classes, k)
        with torch.no_grad():
            head.prototypes.weight.copy_(functional.normalize(features))
        head.votes.copy_(functional.one_hot(labels, classes))
        return head

    @classmethod
    def like(cls, state: Mapping[str, Tensor], prefix: str) -> NeighbourHead:
        """An empty head of the shape that a file's tensors have."""
        count, inputs = state[f"{prefix}.{PROTOTYPES}"].shape
        return cls(count, inputs, state[f"{prefix}.votes"].shape[1], int(state[f"{prefix}.k"]))

    def forward(self, features: Tensor) -> Tensor:
        """Features float (N, F), or maps of one pixel, → shares float (N, classes); of a tie the first class is the larger."""
        nearest = self.prototypes(functional.normalize(features.flatten(1))).topk(self.neighbours).indices
        return self.votes[nearest].mean(dim=1)
