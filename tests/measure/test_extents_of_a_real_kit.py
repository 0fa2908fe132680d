"""Batches, the whole way from a file and a race that stops by its rule: with a real kit and real processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.hosts.local import LocalHost
from edgecnn.judging.latency import latency
from edgecnn.judging.resources import images_per_s
from edgecnn.judging.stopping import INTERIM_RUNS, rule_of
from edgecnn.measure.kits import KitRef
from edgecnn.measure.lab import Lab
from edgecnn.measure.race import race
from edgecnn.measure.race_request import RaceRequest
from edgecnn.runner.files import sha256_of
from edgecnn.store.store import Store
from edgecnn.values.profile import Profile
from tests.measure.labs import a_candidate
from tests.runner.kits import make_kit
from tests.store.toys import Ear


class Bench:
    """One small kit on this machine."""

    def __init__(self, folder: Path, store: Store) -> None:
        kit = make_kit(folder)
        self.kit = KitRef(candidate=a_candidate("small"), folder=kit, digest=sha256_of(kit / "kit.json"), runtime="onnxruntime")
        host = LocalHost()
        self.lab = Lab(host=host, store=store, tell=Ear(), device="cpu", machine="here", environment=host.identify())

    def raced(self, **asked: object) -> Profile:
        known = {"kits": (self.kit,), "purpose": "report", "rounds": 1, "samples": 100, "max_s": 0.5, "max_age_h": 24.0}
        result = race(RaceRequest.model_validate({**known, **asked}), self.lab)
        assert not result.failed
        return result.profiles[self.kit.digest]


@pytest.fixture
def bench(tmp_path: Path, store: Store) -> Bench:
    return Bench(tmp_path, store)


def test_thirty_two_images_a_call_are_more_images_a_second(bench: Bench) -> None:
    asked = ({bench.kit.digest: batch} for batch in (1, 32))
    one, many = (bench.raced(purpose="throughput", batches=batches).runs[0] for batches in asked)
    assert (one.batch, many.batch) == (1, 32)
    assert 32 / min(many.samples_ns) > 1 / min(one.samples_ns), "a call's own cost is shared, where nothing else runs"
    assert images_per_s(many) == pytest.approx(32e9 * len(many.samples_ns) / sum(many.samples_ns))


def test_from_a_file_takes_longer_than_the_network_and_names_the_picture(bench: Bench) -> None:
    alone, whole = bench.raced().runs[0], bench.raced(purpose="end-to-end").runs[0]
    assert (alone.picture, whole.picture) == (None, f"JPEG of 56 x 40 pixels and {_photo_bytes(bench):,} bytes")
    assert min(whole.samples_ns) > min(alone.samples_ns)


@pytest.mark.slow  # races for ten rounds
def test_a_race_by_its_rule_stops_at_a_look_and_files_a_cold_start(bench: Bench) -> None:
    profile = bench.raced(until=rule_of(0.5), rounds=INTERIM_RUNS[-1])
    found = latency(profile)
    assert found.runs in INTERIM_RUNS and found.stopped is not None
    assert found.cold_start_ms is not None and found.load_ms is not None and found.first_ms is not None
    assert found.cold_start_ms.low > found.load_ms.low + found.first_ms.low
    assert found.steady is not None


def _photo_bytes(bench: Bench) -> int:
    return (bench.kit.folder / "golden/photo.jpg").stat().st_size
