from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.devices.doctor.examine import check_needs, need_names
from edgecnn.errors.devices import NeedsUnmet, UnknownNeed


def test_everything_that_can_be_needed_has_one_name() -> None:
    names = need_names()
    assert len(names) == len(set(names))
    assert {"openvino", "gpu", "train", "report", "jetson", "jetson-orin-nano", "cpu", "store", "disk"} <= set(names)


def test_a_need_said_twice_is_one() -> None:
    assert check_needs(["gpu", "openvino", "gpu"]) == ("gpu", "openvino")


def test_an_unknown_need_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownNeed) as caught:
        check_needs(["gpu", "OpenVino2"])
    assert caught.value.line() == (
        f"doctor does not know what 'OpenVino2' is: what can be needed is {', '.join(need_names())}"
        " — did you mean --need openvino? [unknown-need]"
    )
    assert caught.value.exit_code == 2
    assert UnknownNeed(name="", known=("gpu",)).line() == (
        "doctor does not know what '' is: what can be needed is gpu — leave --need out to see all that there is [unknown-need]"
    )


def test_unmet_needs_say_why_and_what_mends_them() -> None:
    one = NeedsUnmet(unmet={"gpu": "the NVIDIA driver lists no GPU"}, hints=[])
    assert one.line() == "what is needed does not work here: gpu: the NVIDIA driver lists no GPU [needs-unmet]"
    two = NeedsUnmet(unmet={"report": "absent", "train": "torch crashed"}, hints=["pip install x", "pip install x"])
    assert two.line() == (
        "what is needed does not work here: report, train: report: absent; train: torch crashed — pip install x [needs-unmet]"
    )
    assert one.exit_code == 3


@given(st.text())
def test_whatever_is_needed_is_known_or_refused_by_us(name: str) -> None:
    try:
        assert check_needs([name]) == (name,)
    except UnknownNeed as error:
        assert error.ref == "unknown-need"
