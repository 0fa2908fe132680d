"""A headless Chromium spoken to by its DevTools protocol over two pipes: nothing but the Debian package is needed."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

APT = "apt-get install --no-install-recommends chromium fonts-dejavu-core"
NAMES = ("chromium", "chromium-browser", "google-chrome")
ANSWER_S = 60.0
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--remote-debugging-pipe",
)  # fmt: skip


def chromium() -> str:
    """The browser's path; the test is skipped with the apt line where there is none."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no Chromium here: {APT}")
    return found


class Tab:
    """One page of a browser: what it says, what it asked for, and how it looks."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read, self._rest, self._count = write, read, b"", 0
        self._session: str | None = None
        self.complaints: list[str] = []
        """Console messages of warnings and errors, and exceptions that nobody caught."""
        self._sent: dict[str, str] = {}

    @property
    def requests(self) -> list[str]:
        """Addresses that were asked for: neither data:, nor what the page's own policy held back."""
        return list(self._sent.values())

    def attach(self) -> None:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def open(self, path: Path, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Load a file from the disk and wait until its charts are drawn or have failed."""
        self.look(width=width, height=height, dark=dark)
        self.complaints.clear()
        self._sent.clear()
        self.call("Page.navigate", url=path.absolute().as_uri())
        deadline = time.monotonic() + ANSWER_S
        while self.evaluate("document.readyState === 'complete' && document.documentElement.dataset.charts") in (None, False, ""):
            assert time.monotonic() < deadline, f"no chart was drawn: {self.complaints}"
            time.sleep(0.05)

    def look(self, *, width: int, height: int = 900, dark: bool = False, media: str = "") -> None:
        """Be a screen of this many CSS pixels in light or dark, or ``print``."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", media=media, features=scheme)

    def evaluate(self, script: str) -> Any:
        """The value of an expression on the page; a promise is awaited."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def move(self, x: float, y: float) -> None:
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, x: float, y: float) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def screenshot(self, file: Path, *, whole: bool = True) -> None:
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot["data"]))

    def pdf(self, file: Path) -> None:
        file.write_bytes(base64.b64decode(self.call("Page.printToPDF", printBackground=False)["data"]))

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._count += 1
        session = {"sessionId": self._session} if self._session else {}
        message = json.dumps({"id": self._count, "method": method, "params": params, **session})
        os.write(self._write, message.encode() + b"\0")
        while True:
            said = self._next()
            if said.get("id") == self._count:
                assert "error" not in said, f"{method}: {said}"
                found: dict[str, Any] = said["result"]
                return found
            self._heard(said)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], ANSWER_S)
            assert ready, "the browser does not answer"
            chunk = os.read(self._read, 1 << 20)
            assert chunk, "the browser is gone"
            self._rest += chunk
        message, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def _heard(self, said: dict[str, Any]) -> None:
        params = said.get("params", {})
        if said["method"] == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"])[:2000])
        elif said["method"] == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.complaints.append(json.dumps(params["args"])[:2000])
        elif said["method"] == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(json.dumps(params["entry"])[:2000])
        elif said["method"] == "Network.requestWillBeSent" and not params["request"]["url"].startswith("data:"):
            self._sent[params["requestId"]] = params["request"]["url"]
        elif said["method"] == "Network.loadingFailed" and params.get("blockedReason") == "csp":
            self._sent.pop(params["requestId"], None)


@contextmanager
def a_tab(profile: Path, *more: str) -> Iterator[Tab]:
    """A browser of its own, gone at the end."""
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    words = " ".join((*FLAGS, *more, f"--user-data-dir='{profile}'"))
    command = f"exec '{chromium()}' {words} about:blank 3<&{to_read} 4>&{from_write}"
    process = subprocess.Popen(
        ["bash", "-c", command], pass_fds=(to_read, from_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(to_read)
    os.close(from_write)
    try:
        tab = Tab(to_write, from_read)
        tab.attach()
        yield tab
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(to_write)
        os.close(from_read)
