"""ONNX Runtime Web on the GPU of a browser without a window. Its page times the calls, including the transfer of the logits.

Chromium can emulate a GPU in software. This is refused, unless ``EDGECNN_EMULATOR`` names it: every figure is then emulated.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional

from ..browser import WITH_GPU, WITH_VULKAN
from ..machine.environment import EMULATOR
from ..messages import note
from .wasm_browser import BrowserSession

if TYPE_CHECKING:
    from ..kit import Kit

KNOBS = ()


class WebGpuSession(BrowserSession):
    """The kit's network in its page, on the browser's adapter."""

    words = (WITH_GPU, WITH_VULKAN)

    def __init__(self, kit: Kit, options: Dict[str, str], trace_folder: Optional[Path]) -> None:
        super().__init__(kit, options, trace_folder)
        self.threads = None
        self.conditions = {"webgpu_adapter": str(self.opened["adapter"]["name"])}
        note("WebGPU adapter: {webgpu_adapter}".format(**self.conditions))

    def opening_options(self) -> Dict[str, Any]:
        """See ``BrowserSession.opening_options``."""
        return {"software": bool(os.environ.get(EMULATOR))}


def open_session(
    kit: Kit, options: Mapping[str, str], trace_folder: Optional[Path] = None, batch: Optional[int] = None
) -> WebGpuSession:
    """Open the kit's page. It takes no options, and ``batch`` is not used.

    Raises:
        RunnerError: missing-package, browser-lacks-gpu, browser-not-started or runtime-refused-model.
    """
    return WebGpuSession(kit, dict(options), trace_folder)
