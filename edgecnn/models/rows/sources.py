"""Pages whose figures several families quote."""

from __future__ import annotations

SLIM = "https://github.com/tensorflow/models/tree/master/research/slim, its table of checkpoints"
SLIM_299 = f"{SLIM}, at 299 px"
"""TF-slim evaluates ResNet V2 at 299 pixels."""
SHUFFLENETS = "https://github.com/megvii-model/ShuffleNet-Series, its table of ShuffleNetV1"
LITES = "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite"
