"""Run a kit's page in a web browser of this machine: serve its folder over HTTP, start the browser, and send it work.

Pages are isolated from other origins: otherwise no browser gives WebAssembly threads or a clock finer than 0.1 ms, see
https://developer.mozilla.org/en-US/docs/Web/API/Window/crossOriginIsolated. A message is the length of a JSON head in four
bytes, the head, and raw numbers. The address of the queue contains a secret that only the page knows.
"""

from __future__ import annotations

import json
import os
import queue
import secrets
import shutil
import struct
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Optional, Sequence, Tuple

from ..manifest import MANIFEST
from ..messages import RunnerError, note
from ..packages import BROWSER_INSTALL, BROWSER_VARIABLE, browser_program, why_no_browser

if TYPE_CHECKING:
    from ..kit import Kit


INDEX = "index.html"


def host(kit: Kit, port: int) -> Dict[str, Any]:
    """Serve the kit's files to this machine until Ctrl-C.

    Raises:
        RunnerError: no-page, since the kit is for another runtime; port-taken; the errors of ``verify_files``.
    """
    if INDEX not in kit.manifest.files:
        raise RunnerError("no-page", "the kit has no page", "it runs in {}".format(kit.manifest.session.module))
    kit.verify_files()
    try:
        server = KitServer(kit.folder, [*kit.manifest.files, MANIFEST], port)
    except OSError as error:
        raise RunnerError(
            "port-taken", "port {} is not available".format(port), str(error), "--port {}".format(port + 1)
        ) from error
    note("serving {} at {} until Ctrl-C".format(kit.manifest.name, server.address("")))
    try:
        with suppress(KeyboardInterrupt):
            server.wait()
    finally:
        server.close()
    return {"address": server.address("")}


_SWITCHES = (
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
        program = browser_program()
        if program is None:
            raise RunnerError(
                "missing-package",
                "the kit needs a web browser, which is not installed",
                why_no_browser(),
                BROWSER_INSTALL,
                missing=True,
            )
        self._requests = 0
        self._broken: Optional[RunnerError] = None
        self._server = KitServer(folder, names)
        self._place = Path(tempfile.mkdtemp(prefix="edgecnn-browser-"))
        self._pipes: List[int] = []
        try:
            self._process = self._start([program, *_SWITCHES, *words], page)
        except OSError as error:
            self._release()
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
        self._release()

    def _start(self, command: Sequence[str], page: str) -> subprocess.Popen[bytes]:
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
                    raise RunnerError("browser-failed", "the browser exited", self._last_output()) from None
                continue
            if reply.get("number", self._requests) != self._requests:
                continue
            if "error" in reply:
                why = " ".join(str(reply["error"]).split())
                if reply.get("lacks_gpu"):
                    hint = "use a browser on a machine with a GPU; chrome://gpu shows the GPUs of this browser"
                    raise RunnerError(LACKS_GPU, "the browser offers no GPU to pages", why, hint, missing=True)
                if reply.get("lacks_threads"):
                    hint = "install another browser ({}), or set {}".format(BROWSER_INSTALL, BROWSER_VARIABLE)
                    raise RunnerError("browser-lacks-threads", "the browser offers no threads to pages", why, hint, missing=True)
                raise RunnerError("browser-failed", "the browser's page reported an error", why)
            return reply, numbers
        raise RunnerError("browser-silent", "the browser's page did not answer in {:g} s".format(patience_s), self._last_output())

    def _release(self) -> None:
        self._server.close()
        for end in self._pipes:
            os.close(end)
        self._pipes = []
        for _ in range(5):  # the browser's child processes may still write
            shutil.rmtree(str(self._place), ignore_errors=True)
            if not self._place.exists():
                return
            time.sleep(0.1)

    def _last_output(self) -> Optional[str]:
        lines = (self._place / "said.txt").read_text(encoding="utf-8", errors="replace").splitlines()
        return " | ".join(line.strip() for line in lines[-_LAST_LINES:] if line.strip()) or None


Message = Tuple[Dict[str, Any], bytes]
ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".mjs": "text/javascript",
    ".png": "image/png",
    ".wasm": "application/wasm",
}
_POLL_S = 5.0
"""A request for work returns empty after this time, and the page asks again."""


def packed(head: Dict[str, Any], body: bytes = b"") -> bytes:
    """Return a message as bytes."""
    text = json.dumps(head).encode("utf-8")
    return struct.pack("<I", len(text)) + text + body


def unpacked(data: bytes) -> Message:
    """Return the message in bytes. Raises ValueError: they are not a message."""
    if len(data) < 4:
        raise ValueError("it is too short")
    (length,) = struct.unpack("<I", data[:4])
    head = json.loads(data[4 : 4 + length].decode("utf-8"))
    if not isinstance(head, dict):
        raise ValueError("its head is not an object")
    return head, data[4 + length :]


class KitServer:
    """A server of some files of a folder, until it is closed."""

    def __init__(self, folder: Path, names: Iterable[str], port: int = 0) -> None:
        """``port``: 0 for any free port. Raises OSError: the port is taken."""
        self.work: queue.Queue[bytes] = queue.Queue()
        self.answers: queue.Queue[Message] = queue.Queue()
        self.secret = secrets.token_urlsafe(16)
        self.folder, self.names, self.place = folder, frozenset(names), "/work/" + self.secret
        self._server = _Listener(self, port)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def address(self, name: str) -> str:
        """Return the address of a file."""
        return "http://127.0.0.1:{}/{}".format(self._server.server_address[1], name)

    def wait(self) -> None:
        """Wait until the user interrupts."""
        while self._thread.is_alive():
            self._thread.join(1.0)

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, kit_server: KitServer, port: int) -> None:
        self.kit_server = kit_server
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore pages that closed their connection."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def do_GET(self) -> None:
        kit_server = self.server.kit_server
        name = self.path.split("?", 1)[0].lstrip("/") or "index.html"
        if not self._is_ours():
            self._answer(403)
        elif self.path == kit_server.place:
            self._send_work()
        elif name in kit_server.names:
            self._answer(200, kit_server.folder.joinpath(*name.split("/")).read_bytes(), name)
        else:
            self._answer(404)

    def do_POST(self) -> None:
        kit_server, length = self.server.kit_server, self.headers.get("Content-Length") or ""
        if not self._is_ours() or self.path != kit_server.place or not length.isdigit():
            self.close_connection = True  # the body is not read
            self._answer(404)
            return
        data = self.rfile.read(int(length))
        if len(data) < int(length):
            return
        try:
            kit_server.answers.put(unpacked(data))
        except ValueError as error:
            kit_server.answers.put(({"error": "its answer cannot be read: {}".format(error)}, b""))
        self._answer(204)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""

    def _is_ours(self) -> bool:
        """Whether the request's host is this machine: a foreign domain may resolve to 127.0.0.1."""
        return (self.headers.get("Host") or "").partition(":")[0] in ("127.0.0.1", "localhost")

    def _send_work(self) -> None:
        waiting = self.server.kit_server.work
        try:
            work = waiting.get(timeout=_POLL_S)
        except queue.Empty:
            self._answer(204)
            return
        try:
            self._answer(200, work)
        except OSError:
            waiting.put(work)  # for the next page
            raise

    def _answer(self, status: int, body: bytes = b"", name: str = "") -> None:
        self.send_response(status)
        for header, value in ISOLATED.items():
            self.send_header(header, value)
        self.send_header("Content-Type", _TYPES.get(Path(name).suffix, "application/octet-stream"))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
