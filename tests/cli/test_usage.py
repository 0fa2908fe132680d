"""A command line that cannot be read, as a shell sees it: one line or one object on stderr, nothing on stdout, code 2."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.usage import MISSING_ARGUMENT, USAGE, unknown_list
from tests import warm

LISTS = ("archs", "devices", "pipelines", "runtimes")
SCRIPT = Path(sys.executable).with_name("edgecnn")


def edgecnn(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return warm.edgecnn(words, env={**os.environ, **environment})


def _requires_an_argument(option: str) -> EdgecnnError:
    return USAGE(command="edgecnn build", reason=f"option '{option}' requires an argument")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ("bild", "--arch", "resnet-18"),
            "edgecnn has no command 'bild' — did you mean build? to list all commands, run edgecnn --help [no-such-command]",
        ),
        (
            ("store", "vrify"),
            "edgecnn store has no command 'vrify' — did you mean verify? "
            "to list all commands, run edgecnn store --help [no-such-command]",
        ),
        (
            ("list", "archs", "--jsno"),
            "edgecnn list has no option '--jsno' — did you mean --json? to list all options, run edgecnn list --help "
            "[no-such-option]",
        ),
        (
            ("build", "demo", "--epochs", "5"),
            "edgecnn build has no option '--epochs' — did you mean --set train.epochs=VALUE? "
            "to list all options, run edgecnn build --help"
            " [no-such-option]",
        ),
        (("list",), MISSING_ARGUMENT(command="edgecnn list", name="LIST", meaning=f"one of {', '.join(LISTS)}").line()),
        (("list", "archz"), unknown_list("archz", LISTS).line()),
        (("build", "ci-gate", "--arch"), _requires_an_argument("--arch").line()),
        (
            ("build", "--arch", "resnet-18", "--target", "--data", "photos"),
            MISSING_ARGUMENT(command="edgecnn build", name="a value for --target", meaning="--data follows it").line(),
        ),
        (("--",), USAGE(command="edgecnn", reason="missing command").line()),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_command_line_that_cannot_be_read_is_one_line_and_2(words: tuple[str, ...], line: str) -> None:
    done = edgecnn(*words)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"edgecnn: error: {line}\n")


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (("--days", "x"), "'x' is not a valid value of --days"),
        (("--max-mib=1", "--max-mib=-1"), "'-1' is not a valid value of --max-mib"),
    ],
    ids=["no number", "out of range"],
)
def test_a_value_of_a_wrong_kind_is_named_with_its_option(words: tuple[str, ...], value: str) -> None:
    done = edgecnn("store", "gc", *words)  # why not is typer's to say
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"edgecnn: error: edgecnn store gc: {value}: ")
    assert "[bad-value]" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_word_too_many_is_named() -> None:
    done = edgecnn("list", "archs", "resnet*", "more")
    assert done.returncode == 2
    assert "[usage]" in done.stderr


@pytest.mark.parametrize("word", ["a\nb", "--a\nb"])
def test_what_was_typed_never_breaks_the_line(word: str) -> None:
    done = edgecnn("list", "archs", word)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        (
            ("list", "archs", "--jsno", "--json"),
            {
                "ref": "no-such-option",
                "what": "edgecnn list has no option '--jsno'",
                "because": None,
                "hint": "did you mean --json? to list all options, run edgecnn list --help",
            },
        ),
        (
            ("--json", "bild"),
            {
                "ref": "no-such-option",
                "what": "edgecnn has no option '--json'",
                "because": None,
                "hint": "did you mean --version? to list all options, run edgecnn --help",
            },
        ),
        (
            ("build", "--json", "--out"),
            _requires_an_argument("--out").facts(),
        ),
    ],
    ids=["option", "command", "value"],
)
def test_with_json_it_is_one_object_like_every_other_error(words: tuple[str, ...], facts: dict[str, str | None]) -> None:
    done = edgecnn(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert json.loads(done.stderr) == {"error": facts}


def test_a_kit_is_named_by_candidate_where_the_verb_takes_one() -> None:
    hints = {
        verb: json.loads(edgecnn(*verb.split(), "--json", "--kit", "a").stderr)["error"]["hint"] for verb in ("predict", "doctor")
    }
    assert "--candidate" in hints["predict"]
    assert "--candidate" not in hints["doctor"]


def test_behind_two_dashes_json_is_a_word_and_no_wish() -> None:
    assert edgecnn("bild", "--", "--json").stderr.startswith("edgecnn: error: ")


def test_with_debug_the_traceback_comes_before_the_line() -> None:
    errors = edgecnn("list", "archs", "--nothing", "--debug").stderr
    assert errors.startswith("Traceback")
    assert errors.endswith("[no-such-option]\n")


@pytest.mark.parametrize("words", [(), ("store",)], ids=["edgecnn", "edgecnn store"])
def test_a_command_without_a_word_shows_its_help_and_did_nothing(words: tuple[str, ...]) -> None:
    done = edgecnn(*words)
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.strip() == edgecnn(*words, "--help").stdout.strip()


@pytest.mark.skipif(not SCRIPT.exists(), reason="edgecnn is not installed beside this Python")
def test_the_console_script_and_the_module_are_the_same_program() -> None:
    for words in (("--help",), ("list", "archs", "--nothing")):
        script, module = (
            subprocess.run([*program, *words], capture_output=True, text=True, check=False)
            for program in ([SCRIPT], [sys.executable, "-m", "edgecnn"])
        )
        assert (script.returncode, script.stdout, script.stderr) == (module.returncode, module.stdout, module.stderr)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("edgecnn bu", ["build", "bundle"]),
        ("edgecnn list ", ["archs", "devices", "pipelines", "runtimes"]),
        ("edgecnn list r", ["runtimes"]),
    ],
)
def test_a_shell_completes_verbs_and_lists(typed: str, offered: list[str]) -> None:
    done = edgecnn(_EDGECNN_COMPLETE="complete_bash", COMP_WORDS=typed, COMP_CWORD=str(typed.count(" ")))
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, offered, "")


def test_the_completion_script_is_for_edgecnn_however_it_was_started() -> None:
    done = edgecnn(_EDGECNN_COMPLETE="source_bash")
    assert done.returncode == 0
    assert "_EDGECNN_COMPLETE=complete_bash" in done.stdout
    assert done.stdout.rstrip().endswith("complete -o default -F _edgecnn_completion edgecnn")


@pytest.mark.parametrize("instruction", ["nonsense", "source_nonsense"])
def test_a_completion_that_cannot_be_given_is_no_failed_gate(instruction: str) -> None:
    assert edgecnn(_EDGECNN_COMPLETE=instruction).returncode == 2


@pytest.mark.parametrize("verb", ["build", "plan", "train"])
def test_a_build_of_nothing_is_told_what_to_type(verb: str) -> None:
    done = edgecnn(verb, "--quiet")
    assert done.returncode == 2
    assert f"edgecnn {verb} --data photos/" in done.stderr and done.stderr.endswith("[nothing-to-build-from]\n")


@pytest.mark.parametrize(
    ("word", "commands"),
    [("cost", ["edgecnn study cost"]), ("serve", ["edgecnn bundle serve"]), ("inspect", ["edgecnn data inspect"]),
     ("verify", ["edgecnn bundle verify", "edgecnn evidence verify", "edgecnn store verify"])],
)  # fmt: skip
def test_a_command_of_a_group_is_named_where_it_is(word: str, commands: list[str]) -> None:
    done = edgecnn(word, "x")
    assert done.returncode == 2
    assert all(f"`{command}`" in done.stderr for command in commands)
