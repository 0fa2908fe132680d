from __future__ import annotations

import pytest

from edgecnn.errors.base import ExitCode
from edgecnn.errors.graph import CalibrationRangeNotFinite, NetworkNotExported, ProgramNotMade


@pytest.mark.parametrize(
    ("said", "because"),
    [("cannot guard\n  on u0 > 0", "cannot guard on u0 > 0"), ("", "RuntimeError"), ("long " * 100, ("long " * 100).strip())],
)
def test_a_network_that_torch_refuses_has_torch_s_words_on_one_line(said: str, because: str) -> None:
    error = ProgramNotMade(error=RuntimeError(said))
    assert error.line() == f"torch cannot export this network as a program: {because} [program-not-made]"
    assert error.exit_code is ExitCode.OWN_FAULT


def test_a_network_that_torch_cannot_export_says_what_the_exporter_stumbled_over() -> None:
    error = RuntimeError("Failed to decompose the FX graph\n- Create an issue")
    error.__cause__ = ValueError("\nCannot view a tensor with shape [16, 64]!\nOriginal traceback:")
    assert NetworkNotExported(error=error).line() == (
        "torch cannot export this network to ONNX: Cannot view a tensor with shape [16, 64]! — take another network; of timm's, "
        "docs/howto/use-a-timm-network.md says which were tried [network-not-exported]"
    )


def test_a_range_that_is_not_finite_names_the_tensor() -> None:
    assert CalibrationRangeNotFinite(tensor="/features/0/Conv_output_0").line() == (
        "the range of tensor /features/0/Conv_output_0 over the calibration images ends at NaN or infinity: a layer overflows "
        "there, which a later one hides from the answers — train again with a lower learning rate "
        "(--set train.learning_rate=...), or check the weights file [calibration-range-not-finite]"
    )
