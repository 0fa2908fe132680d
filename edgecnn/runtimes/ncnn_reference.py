"""Run an ncnn model in a separate process, without edgecnn: PARAM BIN INPUT OUTPUT FEED.npy LOGITS.npy.

It shares no code with the runner, which must reproduce these logits.
"""

from __future__ import annotations

import sys

import ncnn
import numpy as np


def main(words: list[str]) -> None:
    """Write the logits, float32 (N, classes), of a feed, float32 (N, 3, H, W)."""
    param, weights, first, last, feed, logits = words
    net = ncnn.Net()
    for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_packed", "use_bf16_storage"):
        setattr(net.opt, name, False)
    if net.load_param(param) != 0 or net.load_model(weights) != 0:
        sys.exit("ncnn does not open the files that pnnx made")
    answers = []
    for image in np.load(feed):
        extractor = net.create_extractor()
        extractor.input(first, ncnn.Mat(image).clone())
        code, answer = extractor.extract(last)
        if code != 0:
            sys.exit(f"ncnn's extractor returned {code}")
        answers.append(np.array(answer))
    np.save(logits, np.stack(answers))


if __name__ == "__main__":
    main(sys.argv[1:])
