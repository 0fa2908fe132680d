from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import ExitCode
from edgecnn.errors.building import EveryCandidateFailed, NothingToBuild, OutputUnusable
from edgecnn.errors.fault import OwnFault


def test_nothing_to_build_names_what_is_missing_and_how_to_get_it() -> None:
    error = NothingToBuild(device="cpu", reasons=("onnxruntime is not installed",), command='pip install "edgecnn[onnxruntime]"')
    assert error.line() == (
        'nothing can be built for cpu here: onnxruntime is not installed — pip install "edgecnn[onnxruntime]" [nothing-to-build]'
    )
    assert error.exit_code is ExitCode.MISSING


def test_an_unusable_output_folder_is_named_with_the_way_out() -> None:
    error = OutputUnusable(folder=Path("/proc/x"), because="No such file or directory")
    assert error.line() == (
        "/proc/x cannot hold the results: No such file or directory — choose another folder with --out FOLDER [output-unusable]"
    )
    assert error.exit_code is ExitCode.BAD_INPUT


def test_a_build_without_any_kit_says_what_became_of_each_candidate() -> None:
    error = EveryCandidateFailed(reasons=("quantize:onnxruntime-fp32: no", "package:x: no"))
    assert error.line() == ("no candidate could be built: quantize:onnxruntime-fp32: no; package:x: no [every-candidate-failed]")
    assert error.exit_code is ExitCode.MISSING


def test_a_fault_of_ours_is_never_worded_as_the_users() -> None:
    error = OwnFault(error=KeyError("candidate"))
    assert error.line() == (
        "edgecnn failed in a way it should not: KeyError: 'candidate' — please report the traceback above;"
        " no verdict was given [own-fault]"
    )
    assert error.exit_code is ExitCode.OWN_FAULT
