from pathlib import Path

from edgecnn.errors.base import ExitCode
from edgecnn.errors.measuring import (
    BatchesMisread,
    DurationMisread,
    EvidenceChanged,
    EvidenceElsewhere,
    EvidenceUnreadable,
    EvidenceUnsigned,
    NothingInEvidence,
    PixelsChanged,
    RunsUnusable,
    ShareMisread,
)


def test_pixels_that_changed_are_named_with_the_remedy() -> None:
    assert PixelsChanged(file=Path("/s/test.pixels.npy"), split="test").line() == (
        "/s/test.pixels.npy is not what was prepared for the test split: its SHA-256 is another one"
        " — edgecnn store verify --repair, then the same command [pixels-changed]"
    )


def test_runs_that_cannot_be_used_say_why_and_how_to_measure_again() -> None:
    assert RunsUnusable(folder=Path("measured"), because="run-00000.json is no edgecnn.run/1").line() == (
        "measured holds no runs that can be used: run-00000.json is no edgecnn.run/1 — measure again on the device, in the kit's"
        " folder: python3 -m runner measure ../.. --out NEW_FOLDER [runs-unusable]"
    )


def test_a_share_without_its_sign_is_refused_with_how_to_write_it() -> None:
    assert ShareMisread(option="--until", text="2", least=0.001, most=0.5).line() == (
        "--until: '2' is no percentage between 0.1% and 50% — write it with its sign, such as --until 2% [share-misread]"
    )


def test_batches_that_cannot_be_are_refused_with_how_to_write_them() -> None:
    assert BatchesMisread(text="0,many", largest=64).line() == (
        "--batches: '0,many' is no list of numbers of images from 1 to 64, or best"
        " — write it with commas, such as --batches 1,8,best [batches-misread]"
    )


def test_a_duration_without_a_unit_is_refused_with_how_to_write_it() -> None:
    assert DurationMisread(option="--soak", text="60", least_s=30.0, most_s=1800.0).line() == (
        "--soak: '60' is no duration between 30s and 30min — a number with its unit in that range, such as --soak 60s"
        " [duration-misread]"
    )


def test_a_file_that_is_no_evidence_says_why_and_who_has_it() -> None:
    error = EvidenceUnreadable(path=Path("pi.json"), because="it is longer than 4,194,304 bytes")
    assert error.line() == (
        "pi.json cannot be read as evidence: it is longer than 4,194,304 bytes — ask whoever measured it to send it again;"
        " `edgecnn evidence --target DEVICE` writes one [evidence-unreadable]"
    )
    assert error.exit_code is ExitCode.BAD_INPUT


def test_evidence_that_was_changed_or_is_not_signed_is_refused_as_a_bundle_is() -> None:
    changed, unsigned = EvidenceChanged(path=Path("pi.json")), EvidenceUnsigned(path=Path("pi.json"))
    assert changed.line() == (
        "pi.json was changed since it was written: its content is not what its sha256 says"
        " — ask whoever measured it to send it again [evidence-changed]"
    )
    assert unsigned.line() == (
        "pi.json is not signed: it holds no signature"
        " — where it was measured: the same command with --sign KEY [evidence-unsigned]"
    )
    assert changed.exit_code is unsigned.exit_code is ExitCode.BAD_INPUT


def test_evidence_of_what_is_not_at_hand_names_the_command_that_asks_the_board() -> None:
    error = EvidenceElsewhere(device="raspberry-pi-5", why="this machine is x86_64 with 2 cores, which is not Raspberry Pi 5")
    assert error.line() == (
        "raspberry-pi-5 is not at hand to be measured: this machine is x86_64 with 2 cores, which is not Raspberry Pi 5"
        " — edgecnn evidence --target raspberry-pi-5 --host USER@BOARD, or --target cpu for this machine [evidence-elsewhere]"
    )
    assert error.exit_code is ExitCode.MISSING


def test_where_no_network_could_be_timed_the_first_reasons_are_said() -> None:
    error = NothingInEvidence(device="cpu", reasons={"onnxruntime-fp32": "the process was killed"})
    assert error.line() == (
        "no reference network could be timed on cpu: onnxruntime-fp32: the process was killed"
        " — `edgecnn doctor` says what does not work here [nothing-in-evidence]"
    )
    assert error.exit_code is ExitCode.MISSING
