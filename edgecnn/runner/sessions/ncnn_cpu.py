"""ncnn on the CPU. It runs one image a call: a batch is a sequence of calls in the order of its images.

Its default number formats depend on the processor, so the kit sets all of them.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence

import ncnn
import numpy as np

from ..feeds import TensorSpec
from ..files import write_bytes
from ..messages import RunnerError
from . import Session, threads_of

if TYPE_CHECKING:
    from ..kit import Kit

KNOBS = ("threads",)
"""Other options of ``ncnn.Option`` select number formats or algorithms with different rounding."""
AS_STORED = 1
"""``Extractor.extract``: leave a tensor in the format and packing that the next layer reads."""


class NcnnSession(Session):
    """A network in ncnn."""

    def __init__(self, kit: Kit, options: Dict[str, str], trace_folder: Optional[Path]) -> None:
        manifest = kit.manifest
        self._input, self._output = manifest.model.input.name, manifest.model.output.name
        self._spec = TensorSpec(self._input, manifest.model.input.dtype, (None, 3, *manifest.recipe.crop_px))
        self._net = ncnn.Net()
        self.threads = _apply_options(self._net.opt, options)
        param = kit.path(manifest.model.entry)
        weights = [kit.path(name) for name in manifest.model.files if name.endswith(".bin")]
        if self._net.load_param(str(param)) != 0:
            raise _refused(param, "this version of ncnn lacks one of its layers")
        for path in weights:
            if self._net.load_model(str(path)) != 0:
                raise _refused(path, "it lacks weights of the network")
        blobs = [blob.name for blob in self._net.blobs()]
        for name in (self._input, self._output):
            if name not in blobs:
                raise _refused(param, "it has no tensor {!r}".format(name))
        self._trace = None if trace_folder is None else _Trace(self._net, param, trace_folder)

    def inputs(self) -> Sequence[TensorSpec]:
        """Return the kit's input: the network's file states no sizes."""
        return [self._spec]

    def run(self, feed: Mapping[str, Any]) -> Mapping[str, Any]:
        """Run the images one by one. The array belongs to the caller."""
        return {self._output: np.stack([self._compute(np.ascontiguousarray(image)) for image in feed[self._input]])}

    def close(self) -> None:
        """Release the network; a traced session writes ``layers.json``."""
        if self._trace is not None:
            self._trace.write()
            self._trace = None
        if self._net is not None:
            self._net.clear()
            self._net = None

    def _compute(self, picture: Any) -> Any:
        code, tensor = self._extract(picture)
        if code != 0:
            raise RunnerError("runtime-refused-feed", "ncnn computed nothing", "its extractor returned {}".format(code))
        return np.array(tensor)

    def _extract(self, picture: Any) -> Any:
        """Return the extractor's code and tensor. No error is raised here, because its traceback would keep the extractor alive,
        and an extractor that outlives its network crashes."""
        extractor = self._net.create_extractor()
        extractor.input(self._input, ncnn.Mat(picture))  # ncnn reads the array in place, which this call keeps alive
        if self._trace is not None:
            self._trace.record(extractor)
        return extractor.extract(self._output)


def open_session(
    kit: Kit, options: Mapping[str, str], trace_folder: Optional[Path] = None, batch: Optional[int] = None
) -> NcnnSession:
    """Open the kit's ``.param`` and ``.bin``.

    Options: ``threads``; every switch of ``ncnn.Option``, such as ``use_fp16_storage``, is 0 or 1. ``batch`` is not used.

    Raises:
        RunnerError: bad-option or runtime-refused-model.
    """
    return NcnnSession(kit, dict(options), trace_folder)


def _apply_options(settings: Any, options: Dict[str, str]) -> int:
    """Apply the options; return the number of threads."""
    settings.num_threads = threads_of(options)
    settings.use_vulkan_compute = False
    for name, text in sorted(options.items()):
        if not hasattr(settings, name):
            raise RunnerError("bad-option", "session option {} is not one that this version of ncnn has".format(name))
        setattr(settings, name, text == "1")
    return int(settings.num_threads)


class _Trace:
    """Extracts every tensor in the order of the layers. The extractor keeps computed tensors, so each call times one layer."""

    def __init__(self, net: Any, param: Path, folder: Path) -> None:
        self._folder = folder
        self._blobs = [blob.name for blob in net.blobs()]
        self._layers = net.layers()
        self._sixteen_bits = _sixteen_bits(net.opt)
        self._settings = [line.split() for line in param.read_text(encoding="utf-8").splitlines()[2:]]
        self._stored = {}  # type: Dict[str, Dict[str, Any]]
        self._spent = [[] for _ in self._layers]  # type: List[List[int]]

    def record(self, extractor: Any) -> None:
        extractor.set_light_mode(False)
        for layer, spent in zip(self._layers, self._spent):
            begin = time.perf_counter_ns()
            tensors = [extractor.extract(self._blobs[index], AS_STORED)[1] for index in layer.tops]
            spent.append(time.perf_counter_ns() - begin)
            for index, tensor in zip(layer.tops, tensors):
                self._stored[self._blobs[index]] = {"bits": tensor.elembits(), "shape": _unpacked_shape(tensor)}

    def write(self) -> None:
        layers = [self._layer_facts(index) for index in range(len(self._layers))]
        write_bytes(self._folder / "layers.json", json.dumps(layers, indent=1).encode("utf-8"))

    def _layer_facts(self, index: int) -> Dict[str, Any]:
        layer, spent = self._layers[index], self._spent[index]
        words = self._settings[index]
        own = words[4 + int(words[2]) + int(words[3]) :]
        return {
            "name": layer.name,
            "type": layer.type,
            "sixteen_bits": self._sixteen_bits,
            "time_us": sum(spent) / len(spent) / 1000.0 if spent else None,
            "inputs": [self._stored.get(self._blobs[blob]) for blob in layer.bottoms],
            "outputs": [self._stored.get(self._blobs[blob]) for blob in layer.tops],
            "settings": dict(word.split("=", 1) for word in own if "=" in word),
        }


def _sixteen_bits(settings: Any) -> Optional[str]:
    """Return the type of 16-bit numbers; None if they could be of either type, or are only stored in 16 bits."""
    if settings.use_bf16_storage or not (settings.use_fp16_storage and settings.use_fp16_arithmetic):
        return None
    return "fp16"


def _unpacked_shape(tensor: Any) -> List[int]:
    """Return the shape, channels first, without packing."""
    sizes = {1: ("w",), 2: ("h", "w"), 3: ("c", "h", "w"), 4: ("c", "d", "h", "w")}[tensor.dims]
    first, *sides = [getattr(tensor, side) for side in sizes]
    return [first * tensor.elempack] + sides


def _refused(path: Path, why: str) -> RunnerError:
    return RunnerError("runtime-refused-model", "{}: ncnn cannot open it".format(path.name), why)
