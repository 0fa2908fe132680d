"""ONNX Runtime Web in WebAssembly, in a page of a browser without a window. The page's clock times the calls.

A session is a fresh browser. Timed calls stay inside the page: images are sent before them, times are returned after them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from ..browser import LACKS_GPU, NOT_STARTED, WITHOUT_GPU, Page
from ..feeds import TensorSpec
from ..files import write_bytes
from ..manifest import MANIFEST
from ..messages import RunnerError
from . import Session, threads_of

if TYPE_CHECKING:
    from ..kit import Kit

KNOBS = ("threads",)
PAGE = "measure.html"
_OPENING_S, _RUNNING_S = 300.0, 600.0
_MS = 1e6
"""Nanoseconds in a millisecond."""
_IMAGES_SENT = 64
"""Largest number of images for timed calls: more make no difference to caches, and a browser keeps all in memory."""


class BrowserSession(Session):
    """The kit's network in its page."""

    words: Sequence[Sequence[str]] = (WITHOUT_GPU,)
    """Switches of the browser to try in turn until its pages have a GPU."""
    elsewhere = "the network runs in the processes of a browser"
    least_warmup_s = 2.0
    """Browsers compile WebAssembly again while it runs: https://v8.dev/docs/wasm-compilation-pipeline"""

    def __init__(self, kit: Kit, options: Dict[str, str], trace_folder: Optional[Path]) -> None:
        model = kit.manifest.model
        self.threads = threads_of(options)
        self._input, self._output, self._trace = model.input.name, model.output.name, trace_folder
        self._entry = kit.path(model.entry)
        size = kit.manifest.recipe.crop_px
        shape = (None, 3, *size) if model.input.layout == "NCHW" else (None, *size, 3)
        self._spec = TensorSpec(self._input, model.input.dtype, shape)
        self._page, self.opened = self._open_page(kit)

    def _open_page(self, kit: Kit) -> Tuple[Page, Dict[str, Any]]:
        """Start the page and open the network; return the page and its reply. The first of several errors is raised."""
        refused: Optional[RunnerError] = None
        for words in self.words:
            page: Optional[Page] = None
            try:
                page = Page(kit.folder, [*kit.manifest.files, MANIFEST], PAGE, words)
                return page, page.ask(
                    {"do": "open", "trace": self._trace is not None, **self.opening_options()}, b"", _OPENING_S
                )[0]
            except BaseException as error:
                if page is not None:
                    page.close()
                if not isinstance(error, RunnerError):
                    raise
                refused = refused or error
                if error.ref != LACKS_GPU:
                    break
        assert refused is not None
        if refused.missing or refused.ref == NOT_STARTED:
            raise refused
        raise RunnerError("runtime-refused-model", "the browser cannot open the kit's network", refused.because) from refused

    def opening_options(self) -> Dict[str, Any]:
        """Return the page's options for opening the network."""
        return {"threads": self.threads}

    def inputs(self) -> Sequence[TensorSpec]:
        """Return the kit's input: a browser's session states only names."""
        return [self._spec]

    def run(self, feed: Mapping[str, Any]) -> Mapping[str, Any]:
        """Run one call."""
        array = np.ascontiguousarray(feed[self._input])
        head, body = self._page.ask({"do": "run", "shape": list(array.shape)}, array.tobytes(), _RUNNING_S)
        return {self._output: np.frombuffer(body, np.float32).reshape(head["shape"]).copy()}

    def timed(self, feeds: Sequence[Mapping[str, Any]], count: int, limit_ns: int) -> List[int]:
        """Time calls inside the page by its clock. Nothing is sent between calls."""
        sent = max(1, _IMAGES_SENT // len(feeds[0][self._input]))
        arrays = np.stack([feed[self._input] for feed in feeds[:sent]])
        head = {"do": "time", "shape": list(arrays.shape), "count": min(count, 2**31), "limit_ms": limit_ns / _MS}
        reply, _ = self._page.ask(head, arrays.tobytes(), limit_ns / 1e9 + _RUNNING_S)
        return [max(1, round(sample * _MS)) for sample in reply["samples_ms"]]

    def close(self) -> None:
        """End the browser; a traced session writes ``said.json``, the runtime's log of opening the network."""
        if self._page is None:
            return
        page, self._page = self._page, None  # type: ignore[assignment]
        try:
            if self._trace is not None:
                reply, _ = page.ask({"do": "said"}, b"", _RUNNING_S)
                traced = {"said": reply["said"], "quantized": b"DequantizeLinear" in self._entry.read_bytes()}
                write_bytes(self._trace / "said.json", json.dumps(traced, indent=1).encode("utf-8"))
        finally:
            page.close()


def open_session(
    kit: Kit, options: Mapping[str, str], trace_folder: Optional[Path] = None, batch: Optional[int] = None
) -> BrowserSession:
    """Open the kit's page.

    Options: ``threads``, which need an isolated page, as this one is. ``batch`` is not used.

    Raises:
        RunnerError: missing-package, browser-not-started, browser-lacks-threads or runtime-refused-model.
    """
    return BrowserSession(kit, dict(options), trace_folder)
