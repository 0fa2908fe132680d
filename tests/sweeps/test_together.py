"""One sweep over all of it: a Ray cluster that loses a machine, a labgrid lab of which a board fails, an emulated processor."""

from __future__ import annotations

import getpass
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.building.builds import Place, place_with_photos
from tests.devices.leases.lab import Lab, lab, needs_labgrid
from tests.hosts.sshd import Loopback, needs_sshd
from tests.house.child import child
from tests.store.toys import wait_until
from tests.sweeps.machines import Machines, cluster, making
from tests.sweeps.test_leased import Sweep, boards_of, fleet, log

NETWORKS = ("lenet-5", "mobilenet-v2", "resnet-18", "shufflenet-v2-x0.5")
DEVICES = ("cpu", "bench-board", "arm64-emulated")
SWEEP = f"""boards = "{{boards}}"
[set]
data.path = "photos"
model.weights = "none"
model.resolution_px = 32
train.epochs = 6
train.batch_size = 16
race.samples = 100
[grid]
model.arch = {list(NETWORKS)}
target.device = {[f"{device}:onnxruntime" for device in DEVICES]}
[hosts]
arm64-emulated = "emulated"
"""


@pytest.mark.full  # needs an SSH server, the extras ray and labgrid, and an emulated Arm machine
@pytest.mark.slow  # four networks on three machines, then twelve builds, four of them where each answer takes seconds
@pytest.mark.timeout(3600)
@needs_sshd
@needs_labgrid
def test_a_lost_machine_and_a_failing_board_cost_no_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason='pip install "edgecnn[ray]"')
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    place = place_with_photos(tmp_path)
    added = place.plain("devices", "add", "bench-board")
    assert added.returncode == 0, added.stderr
    with ExitStack() as stack:
        servers = stack.enter_context(boards_of(tmp_path, "lab-1", "lab-2"))
        ports = {name: server.port for name, server in servers.items()}
        found = stack.enter_context(lab(tmp_path / "lab", ports, getpass.getuser()))
        for name in servers:
            found.place(name, device="bench-board")
        (tmp_path / "sweep.toml").write_text(SWEEP.format(boards=found.where))
        failed = _swept(place, stack.enter_context(cluster(3)), servers)
        _nothing_is_held(found)
    said = fleet(place)
    assert {cell["state"] for cell in said["cells"]} == {"finished"} and len(said["cells"]) == len(NETWORKS) * len(DEVICES)
    assert list(said["set_aside"]) == [failed]
    boards = {cell["name"]: cell["board"] for cell in said["cells"] if cell["board"] is not None}
    assert len(boards) == len(NETWORKS) and set(boards.values()) <= set(servers)
    assert len(list((place.store / "artifacts/train").iterdir())) == len(NETWORKS), "each network once, for three devices"


def _swept(place: Place, machines: Machines, servers: dict[str, Loopback]) -> str:
    """Run it, lose a machine that trains and cut a board that races; the board's name."""
    words = [sys.executable, "-m", "edgecnn", "sweep", "run", "sweep.toml", "--on", "ray"]
    known = {**os.environ, **place.environment, "RAY_ADDRESS": machines.address, "EDGECNN_OFFLINE": "0"}
    known["EDGECNN_SSH"] = f"ssh -F {place.folder / 'client'}"
    with child(words, env=known, cwd=place.folder, start_new_session=True) as process:
        assert process.stderr is not None
        sweep = Sweep(process.stderr)
        wait_until(lambda: bool(making("train")), 300)
        time.sleep(2)
        machines.kill(machines.where(making("train")[0]))
        sweep.heard(" is lost; its stages are started again on another machine")
        heard = sweep.heard(r"(\S+): measured on (lab-[12])")
        logs = place.folder / "builds/sweep/logs"
        wait_until(lambda: (logs / f"{heard[1]}.log").is_file() and "final race" in log(place, heard[1]), 300)
        assert servers[heard[2]].cut()
        sweep.lines += list(process.stderr)
        assert process.wait(60) in (0, 1, 3, 4), "".join(sweep.lines)
    return heard[2]


def _nothing_is_held(found: Lab) -> None:
    assert found.client("reservations") == ""
