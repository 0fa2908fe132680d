"""In which precision the layers of a network compute while it learns."""

from __future__ import annotations

from typing import Literal

LearningPrecision = Literal["fp32", "bf16"]
"""bf16: convolutions and matrix products of a training step. Weights, their updates, the loss and what is judged stay fp32."""
