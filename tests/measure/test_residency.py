"""What really ran is read from one traced process, filed, and read again only where the machine is another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.hosts import RunnerFailed
from edgecnn.errors.measuring import TRACE_UNREADABLE
from edgecnn.graph.macs import mac_table
from edgecnn.measure.kits import KitRef
from edgecnn.measure.residency import TRACED_SAMPLES, residency
from edgecnn.runner.runs.items import Item
from edgecnn.runner.sessions.onnxruntime_cpu import OnnxRuntimeSession
from edgecnn.store.store import Store
from edgecnn.values.layers import MacTable
from edgecnn.values.verdict import Fidelity
from tests.measure.labs import FakeHost, a_kit, lab_at
from tests.runner.kits import SIDE, network


@pytest.fixture
def kit(tmp_path: Path) -> KitRef:
    kit = a_kit(tmp_path, "fp32")
    onnx.save(network(), kit.folder / "model.onnx")
    return kit


@pytest.fixture
def macs(kit: KitRef) -> MacTable:
    return mac_table(kit.folder / "model.onnx")


@pytest.fixture
def host(host: FakeHost) -> FakeHost:
    host.trace = really_trace
    return host


def really_trace(item: Item, folder: Path) -> None:
    session = OnnxRuntimeSession(item.kit / "model.onnx", {}, folder)
    for _ in range(2):
        session.run({"image": np.zeros((1, 3, SIDE, SIDE), np.float32)})
    session.close()


def test_the_traced_run_of_the_kit_says_what_ran(host: FakeHost, store: Store, kit: KitRef, macs: MacTable) -> None:
    profile = residency(kit, macs, lab_at(host, store)).profile
    assert profile.residency is not None
    assert (profile.residency.basis, dict(profile.residency.mac_share)) == ("executed", {"fp32": 1.0})
    assert (profile.what, profile.subject, profile.fidelity) == ("residency", kit.digest, Fidelity.MEASURED)
    assert profile.runs == (), "a traced run is no latency"


def test_one_process_is_traced_for_a_few_samples(host: FakeHost, store: Store, kit: KitRef, macs: MacTable) -> None:
    seen: list[Item] = []
    host.trace = lambda item, folder: (seen.append(item), really_trace(item, folder))[1]
    residency(kit, macs, lab_at(host, store))
    assert [(item.kit, item.samples, item.trace) for item in seen] == [(kit.folder, TRACED_SAMPLES, True)]


def test_a_stored_residency_serves_under_the_same_conditions_alone(
    host: FakeHost, store: Store, kit: KitRef, macs: MacTable
) -> None:
    first = residency(kit, macs, lab_at(host, store))
    assert residency(kit, macs, lab_at(host, store)) == first
    assert len(host.calls) == 1
    host.versions["onnxruntime"] = "1.32.0"
    assert residency(kit, macs, lab_at(host, store)) != first
    assert len(host.calls) == 2


def test_a_failed_trace_speaks_with_the_runners_words_and_is_not_filed(
    host: FakeHost, store: Store, kit: KitRef, macs: MacTable
) -> None:
    host.broken[kit.digest] = "no such operator"
    with pytest.raises(RunnerFailed) as caught:
        residency(kit, macs, lab_at(host, store))
    assert caught.value.line() == "no such operator [bad-kit]"
    assert store.profiles.of(kit.digest, "residency") == ()


def test_a_trace_that_could_not_be_read_is_not_read_again_once_the_runtime_is_another(
    host: FakeHost, store: Store, kit: KitRef, macs: MacTable
) -> None:
    host.trace = lambda item, folder: None
    with pytest.raises(EdgecnnError, check=TRACE_UNREADABLE.made):
        residency(kit, macs, lab_at(host, store))
    host.trace = really_trace
    host.versions["onnxruntime"] = "1.32.0"
    profile = residency(kit, macs, lab_at(host, store)).profile
    assert profile.environment.conditions["runtime_version"] == "1.32.0"
