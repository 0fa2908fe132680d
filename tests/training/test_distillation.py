import math

import torch
from torch import nn

from edgecnn.training.losses import distillation


class Says(nn.Module):
    """Answers every image alike."""

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor([logits]))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(images), -1)


IMAGES = torch.zeros(3, 3, 2, 2)


def test_the_same_answers_cost_nothing_whatever_is_added_to_every_logit() -> None:
    loss = distillation(Says(1.0, 2.0), IMAGES)(torch.tensor([[1.0, 2.0]] * 3) + 5)
    assert abs(loss.item()) < 1e-6


def test_the_loss_is_the_divergence_in_nats() -> None:
    sure, even = Says(math.log(0.9), math.log(0.1)), torch.zeros(3, 2)
    wanted = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    assert abs(distillation(sure, IMAGES)(even).item() - wanted) < 1e-6


def test_nothing_flows_back_into_the_teacher() -> None:
    teacher, logits = Says(1.0, 2.0), torch.zeros(3, 2, requires_grad=True)
    distillation(teacher, IMAGES)(logits).backward()  # type: ignore[no-untyped-call]
    assert teacher.logits.grad is None
    assert logits.grad is not None
