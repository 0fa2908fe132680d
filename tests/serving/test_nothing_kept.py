"""That no photograph reaches the disk: whatever the serving process opens for writing is heard by Python itself."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from tests.house.child import child
from tests.house.source_tree import ROOT
from tests.serving.asking import announced, ask_at

HEARD = """
import atexit, json, os, sys, time

written = []


def hear(event, about):  # every open, os.open and pathlib's own; what a library in C opens by itself is not among them
    if event == "open" and about[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND):
        written.append((str(about[0]), time.monotonic()))


sys.addaudithook(hear)
atexit.register(lambda: print(json.dumps(written)))
"""
SERVES = f"{HEARD}\nfrom edgecnn.cli.main import main\nmain()\n"
WRITES = f"""{HEARD}
from pathlib import Path
import tempfile

Path("pathlib").write_bytes(b"x")
open("open", "ab").close()
os.close(os.open("os", os.O_RDWR | os.O_CREAT))
tempfile.NamedTemporaryFile(dir=".", prefix="tempfile").close()
open("open", "rb").close()
"""


def picture(format: str) -> bytes:
    """Larger than what is kept in memory before a temporary file is begun, wherever somebody does so."""
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (900, 900, 3), dtype=np.uint8)).save(stream, format)
    return stream.getvalue()


def test_no_photograph_reaches_the_disk(whole: Path, tmp_path: Path) -> None:
    photos = {"tiff": picture("TIFF"), "jpeg": picture("JPEG"), "png": picture("PNG")}
    refused = {"text": b"hello" * 100_000, "cut": photos["jpeg"][:100_000]}
    folders = {name: str(tmp_path) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "EDGECNN_STORE")}
    environment = {**os.environ, **folders, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    with child([sys.executable, "-c", SERVES, "bundle", "serve", str(whole), "--json"], cwd=tmp_path, env=environment) as process:
        place = urlsplit(announced(process)["url"]).netloc
        serving_since = time.monotonic()  # earlier, the verified kit was copied
        found = [ask_at(place, "POST", "/predict", content).status for content in (*photos.values(), *refused.values())]
        beside_kit = list(tmp_path.glob("edgecnn-sandbox-*/*"))
        process.send_signal(signal.SIGTERM)
        written, talk = process.communicate(timeout=60)
    assert found == [200, 200, 200, 422, 422]
    assert [path for path, written_at in json.loads(written) if written_at > serving_since] == [], talk
    assert beside_kit == [], "the sandbox decodes in memory too"
    assert list(tmp_path.iterdir()) == []


def test_each_way_of_writing_a_file_would_be_heard(tmp_path: Path) -> None:
    with child([sys.executable, "-c", WRITES], cwd=tmp_path) as process:
        said, talk = process.communicate(timeout=60)
    assert process.returncode == 0, talk
    names = [Path(path).name[:8] for path, _ in json.loads(said)]
    assert set(names) >= {"pathlib", "open", "os", "tempfile"}
    assert names.count("open") == 1, "reading is no writing"
