"""ONNX Runtime Web in WebAssembly, in a page of a browser without a window; the page's own clock times the calls.

A session is a fresh browser. What is timed stays in the page from the first call to the last: images are sent before, numbers
come back after.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from ..browser.page import LACKS_GPU, NOT_STARTED, WITHOUT_GPU, Page
from ..failure import RunnerError
from ..feeds import TensorSpec
from ..files import write_bytes
from ..manifest import MANIFEST
from . import Session, threads_of

if TYPE_CHECKING:
    from ..kit import Kit

KNOBS = ("threads",)
PAGE = "measure.html"
_OPENING_S, _RUNNING_S = 300.0, 600.0
_MS = 1e6
"""Nanoseconds."""
_IMAGES_SENT = 64
"""At most, for calls that take them in turn: more are no other ones to a processor's caches, and a browser holds them all."""


class BrowserSession(Session):
    """The kit's network in its page."""

    words: Sequence[Sequence[str]] = (WITHOUT_GPU,)
    """Of the browser's command line: those that are tried, one after another, until its pages have a GPU where one is wanted."""
    elsewhere = "the network runs in the processes of a browser"
    least_warmup_s = 2.0
    """Browsers compile WebAssembly twice, the second time while it runs: https://v8.dev/docs/wasm-compilation-pipeline"""

    def __init__(self, kit: Kit, options: Dict[str, str], trace_folder: Optional[Path]) -> None:
        model = kit.manifest.model
        self.threads = threads_of(options)
        self._input, self._output, self._trace = model.input.name, model.output.name, trace_folder
        self._entry = kit.path(model.entry)
        size = kit.manifest.recipe.crop_px
        shape = (None, 3, *size) if model.input.layout == "NCHW" else (None, *size, 3)
        self._spec = TensorSpec(self._input, model.input.dtype, shape)
        self._page, self.opened = self._begun(kit)

    def _begun(self, kit: Kit) -> Tuple[Page, Dict[str, Any]]:
        """The page, and what it says of the network that it opened; of several refusals the first one is raised."""
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
        """What the page is told of how to open the network."""
        return {"threads": self.threads}

    def inputs(self) -> Sequence[TensorSpec]:
        """As the kit has them: a browser's session tells names alone."""
        return [self._spec]

    def run(self, feed: Mapping[str, Any]) -> Mapping[str, Any]:
        """One call."""
        array = np.ascontiguousarray(feed[self._input])
        head, body = self._page.ask({"do": "run", "shape": list(array.shape)}, array.tobytes(), _RUNNING_S)
        return {self._output: np.frombuffer(body, np.float32).reshape(head["shape"]).copy()}

    def timed(self, feeds: Sequence[Mapping[str, Any]], count: int, limit_ns: int) -> List[int]:
        """By the page's clock, in the page: nothing is sent between two calls."""
        sent = max(1, _IMAGES_SENT // len(feeds[0][self._input]))
        arrays = np.stack([feed[self._input] for feed in feeds[:sent]])
        head = {"do": "time", "shape": list(arrays.shape), "count": min(count, 2**31), "limit_ms": limit_ns / _MS}
        reply, _ = self._page.ask(head, arrays.tobytes(), limit_ns / 1e9 + _RUNNING_S)
        return [max(1, round(sample * _MS)) for sample in reply["samples_ms"]]

    def close(self) -> None:
        """End the browser; a traced session leaves ``said.json``: what the runtime said while it opened the network."""
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

    Options: ``threads``, which need a page that is isolated from other origins, as this one is. ``batch`` is not used.

    Raises:
        RunnerError: missing-package, browser-not-started, browser-lacks-threads or runtime-refused-model.
    """
    return BrowserSession(kit, dict(options), trace_folder)
