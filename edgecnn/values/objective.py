"""What a build is to be best at, among what stays inside the accuracy budget."""

from __future__ import annotations

from typing import Literal

Objective = Literal["latency", "size", "throughput", "energy"]
"""``latency``: p50 of one image. ``throughput``: images a second, each candidate at its best number of images in a call.
``energy``: millijoules of one image, all that the meter covers. ``size``: the model's own files."""

Raced = Literal["latency", "throughput", "energy"]
"""Those that only runs on the device can tell; there a lower precision must be measured better than the best float candidate."""
