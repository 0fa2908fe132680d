"""What ran can be read back: every share sums to one, and a candidate runs in the precision that it is named after."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.graph.macs import mac_table
from edgecnn.runner.feeds import feed_of
from edgecnn.runner.kit import Kit
from edgecnn.runner.sessions import open_session
from edgecnn.values.candidate import Runtime
from edgecnn.values.layers import Residency
from tests.conformance.subjects import NETWORK, Subject
from tests.graph.trunks import pictures, trunk

NO_TIMES = (Runtime.WASM, Runtime.WEBGPU)
"""Runtimes that say which kernels they take, and neither how long those take nor what they read."""


def residency_of(subject: Subject, kit: Path, folder: Path) -> Residency:
    opened = Kit.open(kit)
    session = open_session(opened, batch=1, trace_folder=folder)
    for _ in range(3):
        session.run(feed_of(opened, pictures(1)))
    session.close()
    return subject.backend.read_residency(folder, mac_table(trunk(NETWORK)))


def test_every_share_of_what_ran_sums_to_one(subject: Subject, kit: Path, tmp_path: Path) -> None:
    found = residency_of(subject, kit, tmp_path)
    assert found.basis == "executed"
    if subject.backend.runtime in NO_TIMES:
        assert found.time_share is None and found.byte_share is None and found.bytes_absent
    else:
        assert found.time_share is not None and found.byte_share is not None, found.bytes_absent
    for shares in (found.mac_share, found.time_share or {"none": 1.0}, found.byte_share or {"none": 1.0}):
        assert sum(shares.values()) == pytest.approx(1.0)
        assert all(0 <= share <= 1 for share in shares.values())
    assert sum(layer.macs for layer in found.layers) <= mac_table(trunk(NETWORK)).total


def test_it_multiplies_in_the_precision_that_it_is_named_after(subject: Subject, kit: Path, tmp_path: Path) -> None:
    found = residency_of(subject, kit, tmp_path)
    assert found.mac_share.get(subject.candidate.precision.value, 0.0) > 0.95, found.mac_share


def test_bytes_are_at_least_those_of_the_weights_and_of_the_image(subject: Subject, kit: Path, tmp_path: Path) -> None:
    """Each is read once at least, so a lower count would have left some out; ten times as many would count them again."""
    if subject.backend.runtime in NO_TIMES:
        pytest.skip("it says nothing of bytes, which the test above has")
    found = residency_of(subject, kit, tmp_path)
    stored = sum((kit / name).stat().st_size for name in Kit.open(kit).manifest.model.files)
    assert found.moved_bytes is not None
    assert 0.9 * stored < found.moved_bytes < 10 * stored
