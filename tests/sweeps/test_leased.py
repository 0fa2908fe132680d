"""Real sweeps on leased boards, which are SSH servers of this machine: processes, a store, a lab, links that are cut."""

from __future__ import annotations

import getpass
import json
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from tests.building.builds import Place, place_with_photos
from tests.devices.leases.lab import Lab, lab, needs_labgrid
from tests.hosts.sshd import Loopback, free_port, loopback, needs_sshd
from tests.house.child import child
from tests.store.toys import wait_until
from tests.sweeps.test_run import builds_running
from tests.sweeps.written import LENET

SWEEP = f"""boards = "{{boards}}"{LENET}target.device = ["cpu:onnxruntime"]
train.seed = [1, 2]
"""
FIRST, SECOND = "lenet-5-cpu-onnxruntime-seed=1", "lenet-5-cpu-onnxruntime-seed=2"


@contextmanager
def boards_of(folder: Path, *names: str) -> Iterator[dict[str, Loopback]]:
    """Servers with a home folder of their own, on which a shell finds this Python; ``folder/client`` reaches each by its port."""
    (folder / "home").mkdir()
    found = f"SetEnv PATH={Path(sys.executable).parent}:/usr/bin:/bin HOME={folder / 'home'}"
    with ExitStack() as stack:
        servers = {name: stack.enter_context(loopback(folder / name, found)) for name in names}
        (folder / "known").write_text("".join((server.folder / "known").read_text() for server in servers.values()))
        keys = "".join(f"  IdentityFile {server.folder / 'user'}\n" for server in servers.values())
        (folder / "client").write_text(
            f"Host 127.0.0.1\n{keys}  IdentitiesOnly yes\n  IdentityAgent none\n"
            f"  UserKnownHostsFile {folder / 'known'}\n  GlobalKnownHostsFile /dev/null\n"
        )
        yield servers


class Sweep:
    """A sweep that runs, and what it said so far."""

    def __init__(self, said: IO[str]) -> None:
        self._said = said
        self.lines = list[str]()

    def heard(self, pattern: str) -> re.Match[str]:
        for line in self._said:
            self.lines.append(line)
            if (found := re.search(pattern, line)) is not None:
                return found
        pytest.fail(f"it never said {pattern}: {''.join(self.lines)}")


@contextmanager
def running(place: Place, *, interrupted: bool = False) -> Iterator[Sweep]:
    """``sweep run``, which is expected to end well; ``interrupted``: as Ctrl-C ends it."""
    environment = {**place.environment, "EDGECNN_SSH": f"ssh -F {place.folder / 'client'}"}
    words = [sys.executable, "-m", "edgecnn", "sweep", "run", "sweep.toml"]
    with child(words, env=environment, cwd=place.folder, start_new_session=True) as process:
        assert process.stderr is not None
        sweep = Sweep(process.stderr)
        yield sweep
        if interrupted:
            process.send_signal(signal.SIGINT)
        sweep.lines += list(process.stderr)
        assert process.wait(60) in ((130,) if interrupted else (0, 4)), "".join(sweep.lines)


def fleet(place: Place) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place.folder / "builds/sweep/fleet.json").read_text())
    return found


def log(place: Place, name: str) -> str:
    return (place.folder / f"builds/sweep/logs/{name}.log").read_text()


@pytest.mark.full  # needs an SSH server and the extra labgrid
@pytest.mark.slow  # trains and races networks
@needs_sshd
@needs_labgrid
def test_a_board_that_the_lab_takes_back_costs_no_build_and_boards_of_a_kind_are_compared(tmp_path: Path) -> None:
    place = place_with_photos(tmp_path)
    with (
        boards_of(tmp_path, "lab-1", "lab-2") as servers,
        lab(tmp_path / "lab", {name: server.port for name, server in servers.items()}, getpass.getuser()) as found,
    ):
        for name in servers:
            found.place(name, device="cpu")
        (tmp_path / "sweep.toml").write_text(SWEEP.format(boards=found.where))
        with running(place, interrupted=True) as sweep:
            sweep.heard(f"{FIRST}: measured on ")
            wait_until(lambda: "evaluate" in log(place, FIRST), 60)
            assert found.client("reservations").count("state: allocated") == 1
        assert found.client("reservations") == "" and not builds_running(tmp_path)
        with running(place) as sweep:
            first = sweep.heard(f"{FIRST}: measured on (lab-.)")[1]
            taken = sweep.heard(f"{SECOND}: measured on (lab-.)")[1]
            wait_until(lambda: "evaluate" in log(place, SECOND), 60)
            _take(found, taken)
        said = fleet(place)
        other = next(name for name in servers if name != taken)
        assert [cell["board"] for cell in said["cells"]] == [first, other]
        assert list(said["set_aside"]) == [taken]
        assert "[board-taken]" in said["set_aside"][taken]
        if first != other:
            (race,) = said["kin"]
            assert race["build"] == FIRST and [each["board"] for each in race["boards"]] == [first, other]
            assert all(each["p50_ms"] is not None for each in race["boards"])
        shown = place.plain("sweep", "status", "sweep.toml").stdout
        assert f"excluded: {taken}: " in shown and f"on {other}" in shown
        assert found.client("reservations") == ""


def _take(found: Lab, name: str) -> None:
    """Both builds may hold a board at that time."""
    said = re.split(r"(?m)^(?=Reservation )", found.client("reservations"))
    (token,) = (each.split("'")[1] for each in said if name in each)
    found.client("cancel-reservation", token)
    assert "acquired place" in found.client("-p", name, "acquire")


@pytest.mark.full  # needs an SSH server
@pytest.mark.slow  # trains and races networks
@needs_sshd
def test_a_board_that_is_not_there_and_one_whose_link_is_cut_are_set_aside(tmp_path: Path) -> None:
    place = place_with_photos(tmp_path)
    with boards_of(tmp_path, "lab-1", "lab-2") as servers:
        ports = {"lab-0": free_port(), **{name: server.port for name, server in servers.items()}}
        hosts = {name: f"ssh://{getpass.getuser()}@127.0.0.1:{port}" for name, port in ports.items()}
        (tmp_path / "boards.toml").write_text(
            "".join(f'[[board]]\nname = "{name}"\ndevice = "cpu"\nhost = "{host}"\n' for name, host in hosts.items())
        )
        (tmp_path / "sweep.toml").write_text(SWEEP.format(boards="boards.toml"))
        planned = json.loads(place.plain("sweep", "plan", "sweep.toml", "--json").stdout)
        assert planned["boards"] == {"cpu": ["lab-0", "lab-1", "lab-2"]}
        with running(place) as sweep:
            first = sweep.heard(f"{FIRST}: measured on (lab-[12])")[1]
            lost = sweep.heard(f"{SECOND}: measured on (lab-[12])")[1]
            other = next(name for name in servers if name != lost)
            wait_until(lambda: "final race" in log(place, SECOND), 120)
            assert servers[lost].cut()
        said = fleet(place)
        assert [cell["board"] for cell in said["cells"]] == [first, other]
        assert list(said["set_aside"]) == ["lab-0", lost]
        assert "no link: ssh: connect to host 127.0.0.1" in said["set_aside"]["lab-0"]
        assert "[link-lost]" in said["set_aside"][lost]
        raced = [{each["board"] for each in race["boards"]} for race in said["kin"]]
        assert raced == ([] if first == other else [{first, other}])


@pytest.mark.full  # needs the extra labgrid
@needs_labgrid
def test_a_lab_that_is_not_there_or_lacks_a_tag_is_said_by_plan_and_run_before_anything_is_made(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with lab(tmp_path / "lab", {"lab-1": 2201}) as found:
        found.place("lab-1", device="cpu", lab="1")
        (tmp_path / "sweep.toml").write_text(SWEEP.format(boards=found.where) + '[tags]\ncpu = ["lab=9"]\n')
        for verb in ("plan", "run"):
            done = place.plain("sweep", verb, "sweep.toml")
            assert done.returncode == 2 and done.stdout == ""
            assert "[no-such-boards]" in done.stderr
    done = place.plain("sweep", "run", "sweep.toml")
    assert done.returncode == 3 and "[coordinator-unreachable]" in done.stderr
    assert done.stderr.count("\n") == 1 and not (tmp_path / "builds").exists()
