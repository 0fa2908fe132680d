from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.devices.doctor.examine import check_needs, need_names
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.devices import UNKNOWN_NEED


def test_everything_that_can_be_needed_has_one_name() -> None:
    names = need_names()
    assert len(names) == len(set(names))
    assert {"openvino", "gpu", "train", "report", "jetson", "jetson-orin-nano", "cpu", "store", "disk"} <= set(names)


def test_a_need_said_twice_is_one() -> None:
    assert check_needs(["gpu", "openvino", "gpu"]) == ("gpu", "openvino")


def test_an_unknown_need_is_refused_with_the_nearest() -> None:
    with pytest.raises(EdgecnnError, check=UNKNOWN_NEED.made) as caught:
        check_needs(["gpu", "OpenVino2"])
    assert caught.value.ref == "unknown-need"
    assert caught.value.exit_code == 2


@given(st.text())
def test_whatever_is_needed_is_known_or_refused_by_us(name: str) -> None:
    try:
        assert check_needs([name]) == (name,)
    except EdgecnnError as error:
        assert error.ref == "unknown-need"
