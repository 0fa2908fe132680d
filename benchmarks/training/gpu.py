"""Images a second that steps of the whole network learn from: of this machine's GPU in fp32 and bf16, and of its processor.

    python -m benchmarks.training.gpu [--arch resnet-50,mobilenet-v2] [--images 1536] [--side 224] [--batch 64]

One training after another, of images of the demo, by the train stage itself: cropping, mirror images, steps and running average
are in it, decoding is not. The rate is of the second of two epochs, from its first batch to its last. The processor has an eighth
of the images.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from tests.training.made import Given, make_given, stage

WAYS = (("gpu", "fp32"), ("gpu", "bf16"), ("cpu", "fp32"))
SHARE = {"gpu": 1, "cpu": 8}
"""By which a device's images are divided."""


class Clock:
    """When which image was learned from."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, int]] = []

    def step(self, what: str, done: int, total: int | None = None, unit: str = "") -> None:
        """Progress of the stage."""
        if what == "train":
            self.seen.append((time.perf_counter(), done))

    def note(self, text: str) -> None:
        """What the stage says."""
        print(text)

    def rate(self, images: int) -> float:
        """Images a second of the second epoch."""
        second = [step for step in self.seen if step[1] > images]
        (began, first), (ended, last) = second[0], second[-1]
        return (last - first) / (ended - began)


def main() -> None:
    """A line for each network and way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="efficientnet-b0,resnet-50,mobilenet-v2")
    parser.add_argument("--images", type=int, default=1536)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--batch", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        batches = dict[str, Given]()
        for device, share in SHARE.items():
            Path(scratch, device).mkdir()
            batches[device] = make_given(
                Path(scratch, device), train=options.images // share, validation=64, size_px=options.side
            )
        for arch in options.arch.split(","):
            for device, precision in WAYS:
                clock, out = Clock(), Path(scratch, f"{arch}-{device}-{precision}")
                out.mkdir()
                training = stage(
                    arch, size_px=options.side, epochs=2, batch_size=options.batch, device=device, precision=precision
                )
                training.make(batches[device].roles(), out, clock)
                print(f"{arch:20} {device} {precision} {clock.rate(options.images // SHARE[device]):8.1f} images/s", flush=True)


if __name__ == "__main__":
    main()
