"""A page of a kit in a browser without a window, which does what it is asked, one thing at a time."""

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
"""Nothing is drawn and nothing is asked of the internet: https://peter.sh/experiments/chromium-command-line-switches/. With the
last one the browser ends with whoever holds the other end of two pipes, however that ends; nothing is said over them."""
WITHOUT_GPU = ("--disable-gpu",)
WITH_GPU = ("--enable-unsafe-webgpu", "--enable-features=Vulkan")
"""On Linux Chromium has WebGPU for few GPUs unless it is told so; then also by software, for which a session has to look:
https://developer.chrome.com/docs/web-platform/webgpu/troubleshooting-tips"""
WITH_VULKAN = (*WITH_GPU, "--use-angle=vulkan", "--ignore-gpu-blocklist", "--disable-vulkan-surface")
"""Seen with the driver of an NVIDIA H200, which has no surface without a display: with ``WITH_GPU`` alone Chromium 156 offered
software there. Where no driver has Vulkan these words leave not even that."""
_WITH_PIPES = 'exec "$@" 3</dev/fd/{} 4>/dev/fd/{}'
LACKS_GPU = "browser-lacks-gpu"
"""The error of a kit that wants a GPU in a browser that gives its pages none."""
NOT_STARTED = "browser-not-started"
_LOOK_S = 0.5
_ENDING_S = 5.0
_LAST_LINES = 3


class Page:
    """A fresh browser with a profile of its own, and one page in it, which end with ``close`` or with this process."""

    def __init__(self, folder: Path, names: Iterable[str], page: str, words: Sequence[str] = WITHOUT_GPU) -> None:
        """Of some files of a folder, one of which is the page. ``words``: ``WITH_GPU`` or without.

        Raises RunnerError: missing-package; there is no browser. browser-not-started.
        """
        program = browser()
        if program is None:
            raise RunnerError(
                "missing-package",
                "the kit runs in a web browser, and there is none here",
                no_browser(),
                INSTALLED_BY,
                missing=True,
            )
        self._asked = 0
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
        """What the page answers; once it failed, it is asked nothing more.

        Raises RunnerError: browser-failed, by the page's own word or where the browser ended; browser-silent.
        """
        if self._broken is not None:
            raise self._broken
        self._asked += 1
        self._server.work.put(packed(dict(head, number=self._asked), body))
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
        # The address has a secret, and whoever is on this machine sees a process's words: a file of ours leads there.
        start, address = self._place / "start.html", "{}#{}".format(self._server.address(page), self._server.secret)
        start.write_text('<script>location.replace("{}")</script>'.format(address), encoding="utf-8")
        words = [*command, "--user-data-dir={}".format(self._place / "profile")]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            words.append("--no-sandbox")  # it refuses to start as root otherwise
        told, tell = os.pipe()
        heard, said = os.pipe()
        self._pipes = [tell, heard]
        try:
            with (self._place / "said.txt").open("wb") as errors:
                return subprocess.Popen(
                    ["/bin/sh", "-c", _WITH_PIPES.format(told, said), "sh", *words, start.as_uri()],
                    env=dict(os.environ, TMPDIR=str(self._place)),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    pass_fds=(told, said),
                )
        finally:
            os.close(told)
            os.close(said)

    def _answer(self, patience_s: float) -> Message:
        stop = time.monotonic() + patience_s
        while time.monotonic() < stop:
            try:
                reply, numbers = self._server.answers.get(timeout=_LOOK_S)
            except queue.Empty:
                if self._process.poll() is not None:
                    raise RunnerError("browser-failed", "the browser ended", self._last()) from None
                continue
            if reply.get("number", self._asked) != self._asked:
                continue
            if "error" in reply:
                why = " ".join(str(reply["error"]).split())
                if reply.get("lacks_gpu"):
                    hint = "a browser on a machine with a GPU; chrome://gpu says what this one has"
                    raise RunnerError(LACKS_GPU, "the browser gives its pages no GPU", why, hint, missing=True)
                if reply.get("lacks_threads"):
                    hint = "another browser: {}, or name one with {}".format(INSTALLED_BY, NAMED_BY)
                    raise RunnerError("browser-lacks-threads", "the browser gives its pages no threads", why, hint, missing=True)
                raise RunnerError("browser-failed", "the browser's page could not do it", why)
            return reply, numbers
        raise RunnerError("browser-silent", "the browser's page did not answer in {:g} s".format(patience_s), self._last())

    def _forget(self) -> None:
        self._server.close()
        for end in self._pipes:
            os.close(end)
        self._pipes = []
        for _ in range(5):  # what the browser started may still write
            shutil.rmtree(str(self._place), ignore_errors=True)
            if not self._place.exists():
                return
            time.sleep(0.1)

    def _last(self) -> Optional[str]:
        lines = (self._place / "said.txt").read_text(encoding="utf-8", errors="replace").splitlines()
        return " | ".join(line.strip() for line in lines[-_LAST_LINES:] if line.strip()) or None
