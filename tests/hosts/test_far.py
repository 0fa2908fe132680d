"""Our side on a board, without a link: what it keeps while clocks are set, and what it forgets."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest

from edgecnn.hosts.ssh import far
from edgecnn.hosts.ssh.board import encode_request
from edgecnn.hosts.ssh.host import VARIABLES
from edgecnn.runner.packages import PATH_NOT_PASSED

CONTENT = b"a model"
SHA256 = sha256(CONTENT).hexdigest()
KIT, RESULTS = f"kits/{SHA256}", "results/of-a-race"


@pytest.fixture
def place(tmp_path: Path) -> far.Place:
    """One content, one kit and one folder of results, none linked to another."""
    place = far.Place(tmp_path / "far")
    place.object(SHA256).parent.mkdir(parents=True)
    place.object(SHA256).write_bytes(CONTENT)
    for name in (KIT, RESULTS):
        place.inside(name).mkdir(parents=True)
        (place.inside(name) / "a-file.json").write_text("{}")
    return place


def after_a_jump(place: far.Place) -> list[str]:
    """The clock there is set on by weeks, and the next call holds the board: what is still there."""
    things = [place.object(SHA256), place.inside(KIT), place.inside(RESULTS)]
    then = time.time() - 4 * far.STALE_S
    for thing in things:
        if thing.exists():
            os.utime(thing, (then, then))
    request = {"lock": str(place.folder.parent / "lock"), "what": "a test"}
    far.hold(place, request, io.BytesIO())
    return [str(thing.relative_to(place.folder).parts[0]) for thing in things if thing.exists()]


def use(place: far.Place, *, by: str) -> None:
    """As a call does that sends a kit and goes on with results, or one that fetches what is finished."""
    far.have(place, {"sha256": [SHA256]}, io.BytesIO())
    far.lay(place, {"folder": KIT, "files": {}, "fresh": True}, io.BytesIO())
    if by == "list":
        assert "a-file.json" in far.listing(place, {"folder": RESULTS}, io.BytesIO())["files"]
    else:
        far.lay(place, {"folder": RESULTS, "files": {}, "fresh": False}, io.BytesIO())


@pytest.mark.parametrize("by", ["list", "lay"])
def test_what_is_used_between_the_jumps_of_a_clock_survives_them_all(place: far.Place, by: str) -> None:
    for _ in range(3):
        assert after_a_jump(place) == ["objects", "kits", "results"]
        use(place, by=by)


def test_what_is_used_is_dated_so_that_it_is_not_old_at_all(place: far.Place) -> None:
    assert after_a_jump(place) == ["objects", "kits", "results"]
    for path in (place.object(SHA256), place.inside(KIT), place.inside(RESULTS)):
        os.utime(path, (1, 1))
    use(place, by="list")
    far.hold(place, {"lock": str(place.folder.parent / "lock"), "what": "a test"}, io.BytesIO())
    assert place.object(SHA256).exists() and place.inside(KIT).exists() and place.inside(RESULTS).exists()


def test_what_nobody_uses_goes_at_the_second_time(place: far.Place) -> None:
    assert after_a_jump(place) == ["objects", "kits", "results"]
    assert after_a_jump(place) == []


def test_a_half_of_this_file_that_a_lost_link_left_goes_as_other_halves_do(place: far.Place) -> None:
    half = place.folder / "far-0123456789abcdef.py.part.4711"
    half.write_bytes(b"a half")
    for left in (True, False):
        os.utime(half, (1, 1))
        far.hold(place, {"lock": str(place.folder.parent / "lock"), "what": "a test"}, io.BytesIO())
        assert half.exists() is left


@pytest.mark.parametrize("path", ["/opt/packages", None])
def test_a_runner_there_runs_without_pythonpath_and_is_told_so(tmp_path: Path, path: str | None) -> None:
    kit = tmp_path / "far" / far.KITS / "a"
    kit.mkdir(parents=True)
    (kit / "runner.py").write_text("import json, os\nprint(json.dumps(dict(os.environ)))\n")
    request = encode_request("run", kit=f"{far.KITS}/a", argv=[], locks=[], variables=VARIABLES, sandbox=None)
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment = kept if path is None else {**kept, "PYTHONPATH": path}
    command = [sys.executable, far.__file__, str(tmp_path / "far")]
    done = subprocess.run(command, input=request, env=environment, capture_output=True, check=True)
    there = json.loads(done.stdout)
    assert (there["PYTHONPATH"], there.get(PATH_NOT_PASSED)) == (str(kit), path)
