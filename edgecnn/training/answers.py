"""What a network says while it learns: its answer, and those of its auxiliary heads where it has any."""

from __future__ import annotations

from torch import Tensor


def answers_of(said: Tensor | tuple[Tensor | None, ...]) -> tuple[Tensor, ...]:
    """The network's own logits (N, classes) first, then those of the heads that gave any, in fp32 whatever layers compute in.

    Args:
        said: what ``forward`` returned; torchvision's GoogLeNet and Inception-v3 return a named tuple while they learn, in which
            a head whose maps are too small for it is None.
    """
    if isinstance(said, Tensor):
        return (said.float(),)
    return tuple(each.float() for each in said if each is not None)
