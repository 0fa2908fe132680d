"""A server of one file, pictures and weights, for the tests of models and of fetch."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from edgecnn.models.networks import build_network
from edgecnn.models.weights import package_file
from edgecnn.values.arch import ArchSpec, PretrainedWeights


def published(spec: ArchSpec) -> Path:
    """The file of an installed weights package."""
    path = package_file(weights_of(spec))
    assert path is not None, "the extra offline-weights is part of the tests' set-up"
    return path


def weights_of(spec: ArchSpec) -> PretrainedWeights:
    assert spec.weights is not None
    return spec.weights


def saved_network(spec: ArchSpec, file: Path, *, classes: int = 1000, seed: int = 0) -> dict[str, Tensor]:
    """Random weights of a network, as the file a user might have."""
    state = build_network(spec, classes, seed=seed).state_dict()
    if file.suffix == ".safetensors":
        save_file(state, file)
    else:
        torch.save(state, file)
    return state


class Served:
    """Counts requests and can cut an answer short."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.asked: list[tuple[str, str | None]] = []
        self.cut_after: int | None = None
        self.url = ""


@contextmanager
def serving(content: bytes, name: str = "weights.pth", headers: Mapping[str, str] = {}) -> Iterator[Served]:  # noqa: B006
    """An HTTP server on this machine that answers HEAD and GET, ranges included; with these headers besides."""
    served = Served(content)

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:  # noqa: N802
            self._answer(send=False)

        def do_GET(self) -> None:  # noqa: N802
            self._answer(send=True)

        def _answer(self, send: bool) -> None:
            wish = self.headers.get("Range")
            served.asked.append((self.command, wish))
            if not self.path.endswith(name):
                self.send_error(404)
                return
            start = int(wish.removeprefix("bytes=").removesuffix("-")) if wish else 0
            self.send_response(206 if wish else 200)
            self.send_header("Content-Length", str(len(served.content) - start))
            for key, value in headers.items():
                self.send_header(key, value)
            self.end_headers()
            if send:
                stop = len(served.content) if served.cut_after is None else start + served.cut_after
                self.wfile.write(served.content[start:stop])

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_port}/{name}"
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
