from __future__ import annotations

from edgecnn.errors.base import ExitCode
from edgecnn.errors.training import NothingToReplace


def test_what_a_network_has_instead_is_said_with_networks_that_fit() -> None:
    error = NothingToReplace(
        arch="mobilenet-v2",
        setting="activation=hard-swish",
        lacks="SiLU",
        has="ReLU6, and no squeeze-excite",
        fitting=("efficientnet-b0", "efficientnet-b1"),
    )
    assert error.line() == (
        "surgery.activation=hard-swish takes SiLU out of mobilenet-v2, which has none: it has ReLU6, and no squeeze-excite "
        "— --set surgery.activation=keep, or a network that has SiLU: efficientnet-b0, efficientnet-b1 [nothing-to-replace]"
    )
    assert error.exit_code == ExitCode.BAD_INPUT
