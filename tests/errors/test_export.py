from __future__ import annotations

import pytest

from edgecnn.errors.graph import network_not_exported, program_not_made


@pytest.mark.parametrize(
    ("said", "because"),
    [("cannot guard\n  on u0 > 0", "cannot guard on u0 > 0"), ("", "RuntimeError"), ("long " * 100, ("long " * 100).strip())],
)
def test_a_network_that_torch_refuses_has_torch_s_words_on_one_line(said: str, because: str) -> None:
    error = program_not_made(error=RuntimeError(said))
    assert error.because == because


def test_a_network_that_torch_cannot_export_says_what_the_exporter_stumbled_over() -> None:
    error = RuntimeError("Failed to decompose the FX graph\n- Create an issue")
    error.__cause__ = ValueError("\nCannot view a tensor with shape [16, 64]!\nOriginal traceback:")
    assert network_not_exported(error).because == "Cannot view a tensor with shape [16, 64]!"
