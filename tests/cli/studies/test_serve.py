"""`edgecnn bundle serve` as a process: it says where it listens, answers, and ends cleanly."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from subprocess import Popen
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from edgecnn.bundle.verify import UNSIGNED
from edgecnn.cli.main import app
from tests.bundle.sealed import KIT, KIT_FOLDER, copied, published, zipped
from tests.house.child import child
from tests.house.source_tree import ROOT
from tests.serving.asking import announced, ask_at, predicted

WARNED = f"edgecnn: warning: {UNSIGNED}\n"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published(tmp_path_factory.mktemp("bundles") / "flowers")


def started(folder: Path, *words: object) -> AbstractContextManager[Popen[str]]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    return child([sys.executable, "-m", "edgecnn", "bundle", "serve", *map(str, words)], env=environment)


@pytest.mark.parametrize(
    ("ending", "status", "talk"), [(signal.SIGINT, 130, "edgecnn: stopped\n"), (signal.SIGTERM, 0, "")], ids=["ctrl-c", "term"]
)
def test_it_answers_until_it_is_ended_and_leaves_nothing_of_a_zip_behind(
    whole: Path, tmp_path: Path, ending: signal.Signals, status: int, talk: str
) -> None:
    archive, unpacked = zipped(whole, tmp_path / "x.zip"), tmp_path / "tmp"
    unpacked.mkdir()
    with started(unpacked, archive, "--json") as process:
        facts = announced(process)
        assert facts["url"].startswith("http://127.0.0.1:")
        assert (facts["listens_on"], facts["only_this_machine"]) == ("127.0.0.1", True)
        assert (facts["candidate"], facts["classes"]) == (KIT, 4)
        photo = (whole / KIT_FOLDER / "golden/card.png").read_bytes()
        assert len(predicted(facts["url"], photo)["labels"]) == 4
        assert list(unpacked.iterdir()) != []
        process.send_signal(ending)
        assert process.communicate(timeout=30) == ("", WARNED + talk)
        assert process.returncode == status
    assert list(unpacked.iterdir()) == []


def test_a_changed_bundle_a_taken_port_and_an_empty_address_are_one_line_each(whole: Path, tmp_path: Path) -> None:
    changed = copied(whole, tmp_path / "bundle")
    (changed / KIT_FOLDER / "model.onnx").write_bytes(b"x")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for words, ref in (
            ([changed], "bundle-file-changed"),
            ([whole, "--port", port], "port-in-use"),
            ([whole, "--host", ""], "empty-option"),
            ([whole, "--allow-host", ""], "empty-option"),
            ([whole, "--candidate", "none"], "kit-not-carried"),
        ):
            done = CliRunner().invoke(app, ["bundle", "serve", *map(str, words), "--json"])
            assert (done.stdout, json.loads(done.stderr)["error"]["ref"]) == ("", ref)


@pytest.mark.parametrize(
    "name", ["http://photos.example", "photos.example:8000", "*.example", "-photos", "[::1]", "bücher.example"]
)
def test_an_allowed_host_is_a_name_and_no_more(name: str) -> None:
    done = CliRunner().invoke(app, ["bundle", "serve", "bundle", "--allow-host", "board.local", "--allow-host", name])
    assert (done.exit_code, done.stderr) == (
        2,
        f"edgecnn: error: edgecnn bundle serve: {name!r} is not a valid value of --allow-host: a host name "
        "has no http:// and no port, such as photos.example — for valid values, run edgecnn bundle serve --help [bad-value]\n",
    )


def test_each_allowed_host_is_answered_and_no_other(whole: Path, tmp_path: Path) -> None:
    words = ("--host", "0.0.0.0", "--allow-host", "photos.example", "--allow-host", "Camera_1", "--json")
    with started(tmp_path, whole, *words) as process:
        place = urlsplit(announced(process)["url"]).netloc
        hosts = ("photos.example", "camera_1:8000", "10.0.0.5", "evil.example")
        status = [ask_at(place, "GET", "/", None, Host=host).status for host in hosts]
    assert status == [200, 200, 200, 403]
