from pathlib import Path

from edgecnn.errors.usage import NothingJudged, NoVerdict, ResultFileUnwritable


def test_a_verb_without_verdicts_names_those_that_have_some() -> None:
    assert NothingJudged(verb="train").line() == (
        "edgecnn train judges nothing, so --junit would hold no test — give --junit to edgecnn build or edgecnn judge"
        " [nothing-judged]"
    )


def test_a_file_that_cannot_be_written_is_named_with_its_option() -> None:
    assert ResultFileUnwritable(option="--junit", path=Path("/a/b.xml"), because="Permission denied").line() == (
        "--junit /a/b.xml cannot be written: Permission denied — choose another file with --junit [result-file-unwritable]"
    )


def test_what_ended_too_early_says_so() -> None:
    assert NoVerdict().line() == "edgecnn ended before any verdict: it was killed, or is still running [no-verdict]"
