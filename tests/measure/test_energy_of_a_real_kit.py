"""The whole way with a real kit, a real process and a log that somebody is still writing: only the power is made up."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgecnn.hosts.local import LocalHost
from edgecnn.judging.resources import energy
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import energy_request, has_meter, race
from edgecnn.measure.race_request import RaceOptions
from edgecnn.runner.files import sha256_of
from edgecnn.store.store import Store
from edgecnn.values.recipe import RaceChoice
from tests.measure.labs import a_candidate
from tests.runner.kits import make_kit
from tests.store.toys import Ear

WATTS = 7.0


@contextmanager
def a_meter(path: Path) -> Iterator[None]:
    """Writes a line every 50 ms until it is told to stop."""
    done = threading.Event()

    def write() -> None:
        with path.open("a") as stream:
            while not done.wait(0.05):
                stream.write(f"{time.time():.3f},{WATTS}\n")
                stream.flush()

    path.write_text("timestamp,watts\n")
    thread = threading.Thread(target=write)
    thread.start()
    time.sleep(0.3)
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_a_run_is_joined_to_the_log_that_was_written_meanwhile(store: Store, tmp_path: Path) -> None:
    folder = make_kit(tmp_path)
    kit = KitRef(candidate=a_candidate("small"), folder=folder, digest=sha256_of(folder / "kit.json"), runtime="onnxruntime")
    host = LocalHost()
    lab = Lab(host=host, store=store, tell=Ear(), device="cpu", machine="here", environment=host.identify())
    log = tmp_path / "meter.csv"
    assert has_meter(kit, lab.environment, log)
    with a_meter(log):
        asked = energy_request(RaceChoice(), (kit,), RaceOptions(meter=log))
        request = asked.model_copy(update={"max_s": 1.0, "rounds": 1})
        profile = race(request, lab).profiles[kit.digest]
    (run,) = profile.runs
    assert run.energy is not None and run.samples_ns == () and run.energy.images > 10
    reading = next(each for each in run.energy.readings if each.meter == "external")
    assert reading.work_j == pytest.approx(WATTS * run.energy.work.seconds)
    figure = energy(profile, machine="here")
    assert figure.meter == "external" and figure.total_mj is None, "one run has no interval"
    assert figure.reason == f"1 run ({1e3 * reading.work_j / run.energy.images:.2f} mJ); an interval needs 7"
