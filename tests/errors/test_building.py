from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import ExitCode
from edgecnn.errors.building import (
    BaselineFailed,
    EveryCandidateFailed,
    NothingToBuild,
    NothingToJudge,
    OutputAmongData,
    OutputHoldsOtherFiles,
    OutputUnusable,
    RunnerSourceChanged,
    SelfTestFailed,
    UnknownFailure,
)
from edgecnn.errors.hosts.process import RunnerFailed


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
    error = EveryCandidateFailed(reasons={"quantize:onnxruntime-fp32": "no", "package:x": "no"})
    assert error.line() == (
        "no candidate works, so nothing was published: quantize:onnxruntime-fp32: no; package:x failed too"
        " [every-candidate-failed]"
    )
    assert error.exit_code is ExitCode.MISSING


def test_a_kit_that_fails_its_own_test_says_how() -> None:
    refused = RunnerFailed(ref="wrong-feed", what="the model takes data", because="given image", hint="h")
    assert SelfTestFailed(candidate="openvino-fp32", failure=refused).line() == (
        "the kit of openvino-fp32 fails its own self-test: the model takes data (given image) — h [self-test-failed]"
    )


def test_an_unexpected_exception_names_its_type_and_the_way_to_its_traceback() -> None:
    assert UnknownFailure(error=RuntimeError("Check 'x' failed\nat line 3")).line() == (
        "stopped at an unexpected error (RuntimeError): Check 'x' failed at line 3"
        " — run the same command with --debug for the traceback [unknown-failure]"
    )


def test_a_runner_that_changed_under_a_build_is_named_and_asks_for_the_same_command() -> None:
    error = RunnerSourceChanged(folder=Path("/src/edgecnn/runner"))
    assert error.line() == (
        "/src/edgecnn/runner changed while the build was running: a kit carries the runner that it was planned with"
        " — run the same command again [runner-source-changed]"
    )
    assert error.exit_code is ExitCode.BAD_INPUT


def test_files_of_others_in_the_output_are_named_and_never_replaced() -> None:
    error = OutputHoldsOtherFiles(path=Path("out/bundle"))
    assert error.line() == (
        "out/bundle was not written by edgecnn and would be replaced: a bundle holds a choice.json"
        " — choose another folder with --out FOLDER [output-holds-other-files]"
    )
    assert error.exit_code is ExitCode.BAD_INPUT


def test_an_output_among_the_images_names_both_folders() -> None:
    error = OutputAmongData(out=Path("photos/out"), data=Path("photos"))
    assert error.line() == (
        "--out photos/out lies inside the images' folder photos: the next build would take the results for a class"
        " — choose a folder beside it with --out FOLDER [output-among-data]"
    )
    assert error.exit_code is ExitCode.BAD_INPUT


def test_without_a_measured_baseline_no_candidate_is_judged() -> None:
    error = BaselineFailed(reason="no such operator")
    assert error.line() == (
        "the fp32 baseline could not be measured, so no candidate can be judged: no such operator [baseline-failed]"
    )
    assert error.exit_code is ExitCode.MISSING


def test_judging_what_was_never_built_says_which_command_builds_it() -> None:
    error = NothingToJudge(missing=("train", "export"), command="edgecnn build ci-gate")
    assert error.line() == (
        "there is nothing to judge yet: train, export not in the store: judge recomputes from what a build made"
        " — edgecnn build ci-gate [nothing-to-judge]"
    )
    assert error.exit_code is ExitCode.MISSING
