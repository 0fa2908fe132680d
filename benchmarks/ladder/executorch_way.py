"""ExecuTorch's XNNPACK delegate, as its documentation has it, by the Python of the environment that it is installed in.

    EXECUTORCH/bin/python executorch_way.py PROGRAM.pt2 OUT.pte [CALIBRATION.npy]

lowers an exported program; with calibration images it is quantized first (PT2E, a scale for each output channel). Nothing of
edgecnn is imported here. https://docs.pytorch.org/executorch/stable/backends/xnnpack/xnnpack-quantization.html
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch


def lower(program: str, out: str, calibration: str | None = None) -> None:
    """Write a ``.pte`` whose layers XNNPACK computes."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import (  # type: ignore[import-not-found]
        XnnpackPartitioner,
    )
    from executorch.exir import to_edge_transform_and_lower  # type: ignore[import-not-found]

    exported = torch.export.load(program)
    if calibration is not None:
        exported = _quantized(exported, np.load(calibration, mmap_mode="r"))
    lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()]).to_executorch()
    Path(out).write_bytes(lowered.buffer)


def _quantized(exported: Any, images: Any) -> Any:
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (  # type: ignore[import-not-found]
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    prepared = prepare_pt2e(exported.module(), quantizer)
    for index in range(len(images)):
        prepared(torch.from_numpy(np.array(images[index : index + 1])))
    return torch.export.export(convert_pt2e(prepared), (torch.from_numpy(np.array(images[:1])),))


def opened(path: Path, threads: int) -> Any:
    """A call from float32 (N, 3, H, W) to logits; the file computes one image at a time."""
    from executorch.extension.pybindings.portable_lib import (  # type: ignore[import-not-found]
        _unsafe_reset_threadpool,
    )
    from executorch.runtime import Runtime  # type: ignore[import-not-found]

    _unsafe_reset_threadpool(threads)
    method = Runtime.get().load_program(path).load_method("forward")

    def call(feed: Any) -> Any:
        images = [torch.from_numpy(feed[index : index + 1]) for index in range(len(feed))]
        return np.concatenate([method.execute([image])[0].numpy().copy() for image in images])

    return call


if __name__ == "__main__":
    lower(*sys.argv[1:])
