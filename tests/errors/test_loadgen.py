from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import ExitCode
from edgecnn.errors.measuring import LoadGenLogUnreadable, NothingToLoad, UnknownScenario


def test_an_unknown_scenario_is_named_with_the_nearest() -> None:
    error = UnknownScenario(name="ofline", known=("SingleStream", "Offline"))
    assert error.line() == (
        "there is no scenario 'ofline': there are SingleStream, Offline — did you mean Offline? [unknown-scenario]"
    )
    assert UnknownScenario(name="x", known=("Offline",)).hint is None


def test_a_folder_with_nothing_to_measure_says_what_to_name_instead() -> None:
    error = NothingToLoad(folder=Path("out"), because="it holds no kit.json and no bundle/choice.json")
    assert error.line() == (
        "out is neither a kit nor a finished build: it holds no kit.json and no bundle/choice.json"
        " — name a folder such as builds/ARCH-DEVICE or a kit inside its bundle [nothing-to-load]"
    )
    assert error.exit_code is ExitCode.BAD_INPUT


def test_a_log_without_a_verdict_is_our_fault_and_no_figure() -> None:
    error = LoadGenLogUnreadable(path=Path("a/mlperf_log_detail.txt"), because="it holds no result_validity")
    assert error.line() == (
        "a/mlperf_log_detail.txt is no log of a finished LoadGen run: it holds no result_validity"
        " — run the same command again [loadgen-log-unreadable]"
    )
    assert error.exit_code is ExitCode.OWN_FAULT
