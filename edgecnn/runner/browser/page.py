"""A kit's page in a browser without a window, which answers requests one at a time."""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Sequence

from ..failure import RunnerError
from .installed import INSTALLED_BY, NAMED_BY, browser, no_browser
from .server import KitServer, Message, packed

_ALONE = (
    "--headless=new",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-field-trial-config",
    "--disable-sync",
    "--mute-audio",
    "--password-store=basic",
    "--remote-debugging-pipe",
)
"""No window and no network requests: https://peter.sh/experiments/chromium-command-line-switches/. With the last switch, the
browser exits as soon as the other end of its two pipes closes. Nothing is sent through them."""
WITHOUT_GPU = ("--disable-gpu",)
WITH_GPU = ("--enable-unsafe-webgpu", "--enable-features=Vulkan")
"""On Linux, Chromium enables WebGPU for few GPUs by default. These switches also allow software adapters, which a session must
detect: https://developer.chrome.com/docs/web-platform/webgpu/troubleshooting-tips"""
WITH_VULKAN = (*WITH_GPU, "--use-angle=vulkan", "--ignore-gpu-blocklist", "--disable-vulkan-surface")
"""For drivers that have no surface without a display. On an NVIDIA H200, Chromium 156 offered only software with ``WITH_GPU``. If
no driver has Vulkan, these switches offer no adapter at all."""
_WITH_PIPES = 'exec "$@" 3</dev/fd/{} 4>/dev/fd/{}'
LACKS_GPU = "browser-lacks-gpu"
"""The error of a kit for GPUs in a browser that offers none to pages."""
NOT_STARTED = "browser-not-started"
_LOOK_S = 0.5
_ENDING_S = 5.0
_LAST_LINES = 3


class Page:
    """A fresh browser with a new profile and one page. Both end with ``close`` or with this process."""

    def __init__(self, folder: Path, names: Iterable[str], page: str, words: Sequence[str] = WITHOUT_GPU) -> None:
        """Start the browser with ``page``, one of the files ``names`` of a folder. ``words``: switches such as ``WITH_GPU``.

        Raises RunnerError: missing-package if there is no browser; browser-not-started.
        """
        program = browser()
        if program is None:
            raise RunnerError(
                "missing-package",
                "the kit needs a web browser, which is not installed",
                no_browser(),
                INSTALLED_BY,
                missing=True,
            )
        self._requests = 0
        self._broken: Optional[RunnerError] = None
        self._server = KitServer(folder, names)
        self._place = Path(tempfile.mkdtemp(prefix="edgecnn-browser-"))
        self._pipes: List[int] = []
        try:
            self._process = self._started([program, *_ALONE, *words], page)
        except OSError as error:
            self._forget()
            raise RunnerError(NOT_STARTED, "{}: cannot be started".format(program), str(error)) from error

    def ask(self, head: Dict[str, Any], body: bytes, patience_s: float) -> Message:
        """Send a request and return the page's reply. After a failure, every request raises the same error.

        Raises RunnerError: browser-failed if the page reports an error or the browser exits; browser-silent.
        """
        if self._broken is not None:
            raise self._broken
        self._requests += 1
        self._server.work.put(packed(dict(head, number=self._requests), body))
        try:
            return self._answer(patience_s)
        except RunnerError as error:
            self._broken = error
            raise

    def close(self) -> None:
        """End the browser and remove its profile."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_ENDING_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._forget()

    def _started(self, command: Sequence[str], page: str) -> subprocess.Popen[bytes]:
        # The address contains a secret, and every user of this machine sees a process's arguments: pass a file that redirects.
        start, address = self._place / "start.html", "{}#{}".format(self._server.address(page), self._server.secret)
        start.write_text('<script>location.replace("{}")</script>'.format(address), encoding="utf-8")
        words = [*command, "--user-data-dir={}".format(self._place / "profile")]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            words.append("--no-sandbox")  # required for root
        commands_in, commands_out = os.pipe()
        replies_in, replies_out = os.pipe()
        self._pipes = [commands_out, replies_in]
        try:
            with (self._place / "said.txt").open("wb") as errors:
                return subprocess.Popen(
                    ["/bin/sh", "-c", _WITH_PIPES.format(commands_in, replies_out), "sh", *words, start.as_uri()],
                    env=dict(os.environ, TMPDIR=str(self._place)),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    pass_fds=(commands_in, replies_out),
                )
        finally:
            os.close(commands_in)
            os.close(replies_out)

    def _answer(self, patience_s: float) -> Message:
        stop = time.monotonic() + patience_s
        while time.monotonic() < stop:
            try:
                reply, numbers = self._server.answers.get(timeout=_LOOK_S)
            except queue.Empty:
                if self._process.poll() is not None:
                    raise RunnerError("browser-failed", "the browser exited", self._last()) from None
                continue
            if reply.get("number", self._requests) != self._requests:
                continue
            if "error" in reply:
                why = " ".join(str(reply["error"]).split())
                if reply.get("lacks_gpu"):
                    hint = "use a browser on a machine with a GPU; chrome://gpu shows the GPUs of this browser"
                    raise RunnerError(LACKS_GPU, "the browser offers no GPU to pages", why, hint, missing=True)
                if reply.get("lacks_threads"):
                    hint = "install another browser ({}), or set {}".format(INSTALLED_BY, NAMED_BY)
                    raise RunnerError("browser-lacks-threads", "the browser offers no threads to pages", why, hint, missing=True)
                raise RunnerError("browser-failed", "the browser's page reported an error", why)
            return reply, numbers
        raise RunnerError("browser-silent", "the browser's page did not answer in {:g} s".format(patience_s), self._last())

    def _forget(self) -> None:
        self._server.close()
        for end in self._pipes:
            os.close(end)
        self._pipes = []
        for _ in range(5):  # the browser's child processes may still write
            shutil.rmtree(str(self._place), ignore_errors=True)
            if not self._place.exists():
                return
            time.sleep(0.1)

    def _last(self) -> Optional[str]:
        lines = (self._place / "said.txt").read_text(encoding="utf-8", errors="replace").splitlines()
        return " | ".join(line.strip() for line in lines[-_LAST_LINES:] if line.strip()) or None
