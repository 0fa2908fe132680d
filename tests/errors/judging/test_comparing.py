from pathlib import Path

import pytest

from edgecnn.errors.base import ExitCode
from edgecnn.errors.comparing import (
    BaselineElsewhere,
    BuildNamedTwice,
    BundleUnreadable,
    KitNotCarried,
    LatencyBaselineUnreadable,
    NoBuildToCompare,
    NoRecordedRace,
    NotSoManyBuilds,
    OptionsNotWithAgainst,
    RoundsWithoutAgainst,
    RoundsWithRuns,
    UnknownCondition,
)

DIFFERING = (("cpu", "Cortex-A76", "AMD EPYC"), ("kernel", "6.1", "unknown"))


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            NoBuildToCompare(folder=Path("builds/x")),
            "builds/x is neither a finished build nor a bundle: there is no choice.json in it, nor in its bundle/"
            " — name the folder of a finished build, such as builds/ARCH-DEVICE, or its bundle [no-build-to-compare]",
        ),
        (
            BundleUnreadable(path=Path("b/choice.json"), because="it lacks 'kits'"),
            "b/choice.json cannot be read: it lacks 'kits' — the same build command writes it again [bundle-unreadable]",
        ),
        (
            KitNotCarried(folder=Path("b"), candidate="openvino-int8", carried=("onnxruntime-fp32", "tensorrt-fp16")),
            "b carries no kit of openvino-int8: it carries onnxruntime-fp32, tensorrt-fp16 — name one of these [kit-not-carried]",
        ),
        (
            KitNotCarried(
                folder=Path("b"), candidate="x", carried=("litert-fp32", "onnxruntime-fp32"), here=("onnxruntime-fp32",)
            ),
            "b carries no kit of x: it carries litert-fp32, onnxruntime-fp32 — --candidate onnxruntime-fp32 runs here"
            " [kit-not-carried]",
        ),
        (
            KitNotCarried(folder=Path("b"), candidate="x", carried=("litert-fp32",), here=()),
            "b carries no kit of x: it carries litert-fp32 — none of them runs here [kit-not-carried]",
        ),
        (
            KitNotCarried(folder=Path("b"), candidate=None, carried=()),
            "b: no candidate was chosen: it carries nothing"
            " — build again with gates that a candidate can meet: its report says by how much each missed them [kit-not-carried]",
        ),
        (
            OptionsNotWithAgainst(options=("--arch", "--set")),
            "--against takes no --arch, --set: it races two finished builds as they are"
            " — edgecnn judge HEAD --against BASE [--max METRIC=NUMBER] [options-not-with-against]",
        ),
        (
            RoundsWithoutAgainst(rounds=12),
            "--rounds applies to a comparison, and --against names no other build — "
            "for a build by itself: build again with --set race.rounds=12"
            " [rounds-without-against]",
        ),
        (
            RoundsWithRuns(rounds=12),
            "--rounds applies to a race here, and --runs supplies the runs of a device"
            " — on the device, in the kit's folder: python3 -m runner measure ../.. --rounds 12 [rounds-with-runs]",
        ),
        (
            NoRecordedRace(candidate="onnxruntime-int8", because="nothing ran", hint="the same build command races again"),
            "there are no runs of onnxruntime-int8 to record: nothing ran — the same build command races again"
            " [no-recorded-race]",
        ),
        (
            LatencyBaselineUnreadable(path=Path("board.json"), because="it was edited"),
            "board.json cannot be read as a latency baseline: it was edited"
            " — edgecnn baseline record BUILD --out FILE writes one [latency-baseline-unreadable]",
        ),
        (
            BaselineElsewhere(differing=DIFFERING),
            "the baseline is of a machine in another state: cpu: then Cortex-A76, now AMD EPYC; kernel: then 6.1, now unknown"
            " — record a new baseline, race both builds here with --against, or say that it does not matter:"
            " --allow-different cpu --allow-different kernel [baseline-elsewhere]",
        ),
        (
            UnknownCondition(name="cpus", known=("machine", "cpu", "kernel")),
            "--allow-different: no condition is called 'cpus' — did you mean cpu? known: machine, cpu, kernel"
            " [unknown-condition]",
        ),
    ],
)
def test_each_says_what_why_and_what_mends_it(error: Exception, line: str) -> None:
    assert str(error) == line


def test_what_is_not_there_to_be_measured_is_missing_and_the_rest_is_bad_input() -> None:
    assert KitNotCarried.exit_code == NoRecordedRace.exit_code == ExitCode.MISSING
    assert BaselineElsewhere.exit_code == BundleUnreadable.exit_code == ExitCode.BAD_INPUT


def test_one_build_alone_is_sent_to_its_history() -> None:
    assert NotSoManyBuilds(given=1, most=26).line() == (
        "compare takes 2 to 26 builds, and 1 was named"
        " — edgecnn compare builds/A builds/B; for one build over time: edgecnn study history BUILD [not-so-many-builds]"
    )


def test_a_build_named_twice_is_sent_to_what_says_how_much_two_races_differ() -> None:
    assert BuildNamedTwice(folder=Path("out")).line() == (
        "out was named twice: a build differs in nothing from itself"
        " — for how much two races of it differ: edgecnn judge BUILD --against BUILD [build-named-twice]"
    )
