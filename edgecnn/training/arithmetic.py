"""In which precision a training step computes. It changes no weight's type: autocast rounds what goes into a layer."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from edgecnn.values.learning_precision import LearningPrecision


def computing_in(precision: LearningPrecision) -> AbstractContextManager[Any]:
    """For a forward pass; the backward pass computes in what this one left. Nothing is scaled: bf16 has the range of fp32."""
    return nullcontext() if precision == "fp32" else torch.autocast("cpu", torch.bfloat16)
