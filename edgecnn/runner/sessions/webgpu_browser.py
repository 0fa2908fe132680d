"""ONNX Runtime Web on the GPU of a browser without a window; its page times the calls, answers fetched.

Chromium can play a GPU by software. That is refused unless ``EDGECNN_WEBGPU_SOFTWARE=1``; then it answers, and nothing is timed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence

from ..browser.page import WITH_GPU
from ..failure import RunnerError
from .wasm_browser import BrowserSession

if TYPE_CHECKING:
    from ..kit import Kit

KNOBS = ()
SOFTWARE_BY = "EDGECNN_WEBGPU_SOFTWARE"
_ELSEWHERE = "a browser on a machine with a GPU; chrome://gpu says what this one has"


class WebGpuSession(BrowserSession):
    """The kit's network in its page, on the adapter that the browser gives it."""

    words = WITH_GPU

    def __init__(self, kit: Kit, options: Dict[str, str], trace_folder: Optional[Path]) -> None:
        super().__init__(kit, options, trace_folder)
        self.threads = None
        adapter = self.opened["adapter"]
        if adapter is None or (adapter["software"] and os.environ.get(SOFTWARE_BY) != "1"):
            self.close()
            because = None if adapter is None else "all that it offers is software: {}".format(adapter["name"])
            raise RunnerError("no-webgpu-adapter", "the browser gives its pages no GPU", because, _ELSEWHERE, missing=True)

    def timed(self, feeds: Sequence[Mapping[str, Any]], count: int, limit_ns: int) -> List[int]:
        """See ``BrowserSession.timed``. Raises RunnerError: software-adapter; its time says nothing of a GPU."""
        if self.opened["adapter"]["software"]:
            what = "the browser's GPU is software, whose time says nothing of any GPU"
            raise RunnerError("software-adapter", what, self.opened["adapter"]["name"], _ELSEWHERE, missing=True)
        return super().timed(feeds, count, limit_ns)


def open_session(
    kit: Kit, options: Mapping[str, str], trace_folder: Optional[Path] = None, batch: Optional[int] = None
) -> WebGpuSession:
    """Open the kit's page. It takes no options, and ``batch`` is not used.

    Raises:
        RunnerError: missing-package, no-webgpu-adapter, browser-not-started or runtime-refused-model.
    """
    return WebGpuSession(kit, dict(options), trace_folder)
