"""Real servers on free ports, around a real bundle."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from edgecnn.bundle.answering import Limits
from edgecnn.bundle.serving import PhotoServer, Place, ServeRequest, photo_server
from edgecnn.render.page.served import served_page
from edgecnn.render.progress import Quiet
from tests.bundle.sealed import KIT_FOLDER, copied, published, with_kit
from tests.runner.kits import rewrite_manifest

HOSTILE = ["<script>window.broken=1</script>", "</script><img src=x onerror=window.broken=2>", "'\"&amp;`${1}", "a\u202eb\nc"]

ANY_PORT = Place()

Serve = Callable[..., PhotoServer]


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published(tmp_path_factory.mktemp("served") / "flowers")


@pytest.fixture(scope="session")
def hostile(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose classes are named to break out of a page."""
    bundle = copied(whole, tmp_path_factory.mktemp("hostile") / "bundle")
    return with_kit(bundle, lambda kit: rewrite_manifest(kit, lambda facts: facts.update(labels=HOSTILE)))


@pytest.fixture(scope="session")
def photo(whole: Path) -> bytes:
    return (whole / KIT_FOLDER / "golden/photo.jpg").read_bytes()


@pytest.fixture
def complaints() -> list[str]:
    """What the servers of this test said of failures of their own."""
    return []


@pytest.fixture
def serve(whole: Path, complaints: list[str]) -> Iterator[Serve]:
    """Starts servers that are gone at the end; keywords are those of ``Limits``."""
    with ExitStack() as running:

        def start(bundle: Path = whole, place: Place = ANY_PORT, **limits: Any) -> PhotoServer:
            asked = ServeRequest(bundle, place=place, limits=Limits(**limits))
            server, _ = running.enter_context(photo_server(asked, served_page, Quiet(), complaints.append))
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            running.callback(thread.join)
            running.callback(server.shutdown)
            return server

        yield start
