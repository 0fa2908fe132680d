"""Sweeps whose stages are made on a real Ray cluster: three machines with ports of their own, of which one is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.sweeps import CLUSTER_LOST, CLUSTER_TOO_SLOW, CLUSTER_UNUSABLE, WORKERS_DIFFER
from edgecnn.sweeps.cluster import place_near, reached
from tests.building.builds import Place, place_with_photos
from tests.house.child import child
from tests.store.small_disks import needs_mount, on_disks
from tests.store.toys import wait_until
from tests.sweeps.machines import Machines, cluster, free_port, making
from tests.sweeps.written import LENET

pytest.importorskip("ray", reason='pip install "edgecnn[ray]"')

SWEEP = f"""{LENET}target.device = ["cpu:onnxruntime", "raspberry-pi-5:onnxruntime"]
train.seed = [0, 1]
"""


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this user's other clusters ask for."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = place_with_photos(tmp_path)
    (tmp_path / "sweep.toml").write_text(SWEEP)
    return made


def begun(place: Place, machines: Machines) -> AbstractContextManager[subprocess.Popen[str]]:
    """A sweep in the background, whose stages these make."""
    words = [*place.command("build")[:3], "sweep", "run", "sweep.toml", "--on", "ray"]
    known = {**place.environment, "RAY_ADDRESS": machines.address}
    return child(words, env=known, cwd=place.folder, start_new_session=True)


def all_passed(place: Place) -> bool:
    outcomes = json.loads((place.folder / "builds/sweep/sweep.json").read_text())["outcomes"]
    return [(each["exit_code"], each["reported"]) for each in outcomes.values()] == [(0, True)] * 4


def test_without_a_cluster_it_says_how_one_is_started(tmp_path: Path) -> None:
    place = place_with_photos(tmp_path, each=12)
    (tmp_path / "sweep.toml").write_text(SWEEP)
    done = place.plain("sweep", "run", "sweep.toml", "--on", "ray", RAY_ADDRESS=f"127.0.0.1:{free_port()}")
    assert done.returncode == 3 and done.stdout == "" and "Traceback" not in done.stderr
    (said,) = [line for line in done.stderr.splitlines() if "error:" in line]
    assert said.startswith("edgecnn: error: the cluster ray cannot be used: ")
    assert said.endswith("set RAY_AUTH_MODE=token [cluster-unusable]")
    assert not (place.store / "artifacts").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--on", "dask"), "--on cannot be 'dask': a cluster is `ray` or ray://HOST:PORT"),
        (("--on", "ray://me:secret@host:1"), "a cluster is `ray` or ray://HOST:PORT"),
        (
            ("--on", "ray", "--jobs", "2"),
            "--jobs uses processes on this machine and --on uses a cluster; pass only one of them",
        ),
    ],
)
def test_what_names_no_cluster_is_refused(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    place = Place(tmp_path)
    (tmp_path / "sweep.toml").write_text(SWEEP)
    done = place.plain("sweep", "run", "sweep.toml", *words)
    assert done.returncode == 2 and said in done.stderr


@pytest.mark.slow  # three machines, one of which is killed while it trains
def test_a_lost_machine_s_work_is_done_by_the_others_and_all_is_made_once(place: Place, tmp_path: Path) -> None:
    (tmp_path / "sweep.toml").write_text(SWEEP.replace("epochs = 2", "epochs = 60"))
    with cluster(3) as machines:
        with begun(place, machines) as running:
            wait_until(lambda: bool(making("train")), 240)
            time.sleep(3)
            machines.kill(machines.where(making("train")[0]))
            out, said = running.communicate(timeout=600)
        assert running.returncode == 0, said
    assert "sweep: make on 2 machines: " in said and "Traceback" not in said + out and "ray" not in out
    assert said.count(" is lost; its stages are started again on another machine\n") == 1
    assert all_passed(place)
    assert len(list((place.store / "artifacts/train").iterdir())) == 2
    for log in (tmp_path / "builds/sweep/logs").glob("lenet*.log"):
        assert "train: epoch" not in log.read_text(), "the builds found what the cluster made"


@pytest.mark.slow  # a cluster, and its client
def test_machines_with_stores_of_their_own_and_others_hand_on_through_the_store_afar(place: Place, tmp_path: Path) -> None:
    with cluster(2, {"EDGECNN_STORE": str(tmp_path / "theirs")}) as machines:
        machines.start({"EDGECNN_STORE": str(place.store)})
        words = ("sweep", "run", "sweep.toml", "--on", f"ray://127.0.0.1:{machines.client_port}")
        refused = place.plain(*words)
        host = os.uname().nodename
        error = WORKERS_DIFFER(
            problems=[
                f"{host} does not see the store {place.store}: put it on a network folder, or name a remote store in "
                "EDGECNN_STORE_REMOTE"
            ]
        )
        assert (refused.returncode, refused.stderr.splitlines()[-1]) == (3, f"edgecnn: error: {error.line()}")
        refused = place.plain(*words, EDGECNN_STORE_REMOTE="memory://me:secret@host/store")
        assert refused.returncode == 3 and "secret" not in refused.stderr
        assert "EDGECNN_STORE_REMOTE holds credentials, which are not sent" in refused.stderr.splitlines()[-1]
        done = place.plain(*words, EDGECNN_STORE_REMOTE=(tmp_path / "afar").as_uri())
        assert done.returncode == 0, done.stderr
    assert all_passed(place) and "is left to the builds" not in done.stderr
    names = {path.name for path in (tmp_path / "afar/entries/artifacts/train").iterdir()}
    assert names == {f"{path.name}.json" for path in (place.store / "artifacts/train").iterdir()} and len(names) == 2


@needs_mount
@pytest.mark.slow  # three machines
def test_a_machine_with_a_full_disk_costs_no_build_and_is_avoided(place: Place, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    with cluster(2, {"EDGECNN_STORE": str(tmp_path / "theirs")}) as machines:
        machines.start({"EDGECNN_STORE": str(small)}, on_disks({small: "64k"}))
        words = ("sweep", "run", "sweep.toml", "--on", "ray")
        done = place.plain(*words, EDGECNN_STORE_REMOTE=(tmp_path / "afar").as_uri(), RAY_ADDRESS=machines.address)
    assert done.returncode == 0, done.stderr
    assert all_passed(place) and "is left to the builds" not in done.stderr
    assert f" and is started once more on another machine: there is no space left for the store {small}: " in done.stderr
    assert done.stderr.count(" gets no more stages while there are other machines: ") == 1


@pytest.mark.slow  # three machines, one of which comes while another trains
def test_a_machine_that_comes_later_and_shares_no_store_makes_nothing(place: Place, tmp_path: Path) -> None:
    (tmp_path / "sweep.toml").write_text(SWEEP.replace("epochs = 2", "epochs = 60"))
    with cluster(2) as machines:
        with begun(place, machines) as running:
            wait_until(lambda: bool(making("train")), 240)
            machines.start({"EDGECNN_STORE": str(tmp_path / "theirs")})
            out, said = running.communicate(timeout=600)
        assert running.returncode == 0, said
    assert all_passed(place) and "is left to the builds" not in said
    assert f" and is started once more on another machine: {os.uname().nodename} does not see the store {place.store}: " in said
    assert not (tmp_path / "theirs").exists()


@pytest.mark.slow  # a minute until Ray gives a lost head up
def test_a_lost_head_ends_the_call_and_the_same_goes_on(place: Place, tmp_path: Path) -> None:
    with cluster(1) as machines, begun(place, machines) as running:
        wait_until(lambda: bool(making("prepare") or making("train")), 240)
        machines.kill(0)
        _, said = running.communicate(timeout=200)
    error = CLUSTER_LOST(address="ray", log="builds/sweep/logs/cluster.log")
    assert running.returncode == 3 and error.line() in said
    assert place.plain("sweep", "run", "sweep.toml").returncode == 0 and all_passed(place)


@pytest.mark.slow  # three machines
def test_what_would_be_near_its_inputs_on_a_busy_machine_goes_to_an_idle_one() -> None:
    import ray

    def where() -> str:
        time.sleep(8)
        return ray.get_runtime_context().get_node_id()

    with cluster(3) as machines:
        ray.init(machines.address, log_to_driver=False)
        try:
            node = next(each["NodeID"] for each in ray.nodes() if each["Resources"].get("CPU", 0) >= 1)
            task = ray.remote(where).options(num_cpus=2, scheduling_strategy=place_near(node, soft=True))
            assert len(set(ray.get([task.remote(), task.remote()], timeout=90))) == 2
        finally:
            ray.shutdown()


@pytest.mark.slow  # a cluster
def test_ctrl_c_ends_what_runs_there(place: Place, tmp_path: Path) -> None:
    (tmp_path / "sweep.toml").write_text(SWEEP.replace("epochs = 2", "epochs = 900"))
    with cluster(1) as machines:
        with begun(place, machines) as running:
            wait_until(lambda: bool(making("train")), 240)
            running.send_signal(signal.SIGINT)
            assert running.wait(90) == 130
        wait_until(lambda: not making("train"), 60)


def test_a_head_that_is_too_slow_for_a_client_is_told_how_it_gets_more_time() -> None:
    said = 'Initialization failure from server:\nTraceback:\n    "Starting Ray client server failed. See "\nRuntimeError: {}\n'
    with pytest.raises(EdgecnnError, check=CLUSTER_TOO_SLOW.made) as caught, reached("ray://head:10001", CLUSTER_UNUSABLE):
        raise ConnectionAbortedError(said.format("Starting Ray client server failed. See ray_client_server_1.err."))
    assert caught.value.because == "Starting Ray client server failed. See ray_client_server_1.err."
    assert "RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S=120" in str(caught.value.hint)
