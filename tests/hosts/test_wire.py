"""Whoever speaks on a wire may lie: each lie ends as one error that names the board and what it said wrongly."""

from __future__ import annotations

import json
import sys
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.hosts import (
    BOARD_FAILED,
    LINK_LOST,
    AnswerUnusable,
    BoardBusy,
    RunnerCrashed,
    RunnerFailed,
)
from edgecnn.hosts import wire
from edgecnn.hosts.program import Program, parse_builder, parse_info, run_program
from edgecnn.hosts.ssh.board import Board
from edgecnn.hosts.ssh.files import Contents, Results
from edgecnn.hosts.ssh.host import SshHost
from tests.hosts.test_installing import Shell
from tests.hosts.test_local import Heard

GOOD = {"ok": True}
DEEP = '{"note": ' + "[" * 100_000 + "]" * 100_000 + "}"
OBJECT = sha256(b"content").hexdigest()
FACTS = {"sha256": OBJECT, "bytes": 7, "age_s": 1.0}
LINES = 4 * 1024 * 1024
"""A flood that is large against the bounds that a test sets."""


def said(*values: Any) -> bytes:
    return b"".join((each if isinstance(each, str) else json.dumps(each)).encode() + b"\n" for each in values)


def run(folder: Path, content: bytes, heard: Heard | None = None, **program: Any) -> Any:
    """A runner that says this and ends."""
    (folder / "said").write_bytes(content)
    program = {"words": ("cat", str(folder / "said")), **program}
    return run_program(Program(called=("selftest",), board="nano", **program), lease_s=20, tell=heard or Heard())


class Liar(Shell):
    """A board that answers each request with the next of these, whatever was asked."""

    def __init__(self, folder: Path, *answers: bytes) -> None:
        super().__init__()
        self._folder_of_answers, self._answers = folder, list(answers)

    def command(self, remote: str) -> list[str]:
        (self._folder_of_answers / "answer").write_bytes(self._answers.pop(0))
        return ["sh", "-c", 'cat "$0"; exec cat >/dev/null', str(self._folder_of_answers / "answer")]


@pytest.mark.parametrize(
    ("lie", "because"),
    [
        ({"progress": {"what": "bench", "done": "many"}}, "progress.done: Input should be a valid integer"),
        ({"progress": {"what": "bench", "done": -1}}, "progress.done: Input should be greater than or equal to 0"),
        ({"progress": {"what": "bench", "done": 1, "total": []}}, "progress.total: Input should be a valid integer"),
        ({"progress": {"what": ["bench"], "done": 1}}, "progress.what: Input should be a valid string"),
        ({"progress": {"done": 1}}, "progress.what: Field required"),
        ({"note": {"a": 1}}, "note: Input should be a valid string"),
        ({"ok": "yes"}, "ok: Input should be a valid boolean"),
        ({"ok": False}, "ref: Field required"),
        ({"ok": False, "error": "no"}, "error: Input should be a valid dictionary"),
        ({"ok": False, "error": {"ref": "bad-option"}}, "what: Field required"),
        ({"ok": False, "error": {"ref": 5, "what": "it"}}, "ref: Input should be a valid string"),
        ({"ok": False, "error": {"ref": "\x1b[2J", "what": "it"}}, "ref: String should match pattern"),
    ],
)
def test_a_message_of_a_runner_that_is_none_is_one_line(lie: Any, because: str, tmp_path: Path) -> None:
    with pytest.raises(AnswerUnusable) as caught:
        run(tmp_path, said(lie, GOOD) if "ok" not in lie else said(lie))
    assert caught.value.line().startswith(f"the answer of nano to selftest cannot be used: {because}")
    assert caught.value.ref == "answer-unusable"
    assert "\n" not in caught.value.line() and caught.value.exit_code is ExitCode.BAD_INPUT


TITLE = b"\x1b]0;pi@nano: ~\x07"


@pytest.mark.parametrize("before", [TITLE, b"Welcome to {nano} ", b"\xff\xfe", b"\r"])
def test_a_message_is_found_after_what_a_login_shell_prints_on_its_line(before: bytes, tmp_path: Path) -> None:
    heard = Heard()
    assert run(tmp_path, before + said({"note": "a note"}) + TITLE + said({"ok": True, "answer": 1}) + TITLE, heard) == {
        "answer": 1
    }
    assert heard.notes == ["a note"]
    answer = {"ok": True, "missing": [], "free_bytes": 1}
    assert Board(Liar(tmp_path, before + said(answer) + TITLE), python=sys.executable).ask("have")["free_bytes"] == 1


def test_a_file_is_fetched_after_what_a_login_shell_prints(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    listed = said({"ok": True, "files": {"a": FACTS}})
    liar = Liar(tmp_path, TITLE + listed, TITLE + said({"sends": 1}) + b"content")
    liar.command = _ending(liar.command)  # type: ignore[method-assign]
    Results(board := Board(liar, python=sys.executable), Contents(board), tmp_path / "out").fetch()
    assert (tmp_path / "out/a").read_bytes() == b"content"


def test_what_is_no_message_is_ignored(tmp_path: Path) -> None:
    noise = [
        "hello",
        "5",
        "[]",
        "{}",
        '{"progress": 0.5}',
        DEEP,
        '{"ok": ' + "9" * 5000 + "}",
        '{"note": 1e999}',
        '{"ok": NaN}',
        "",
    ]
    heard = Heard()
    assert run(tmp_path, said(*noise, {"note": "a note", "new": 1}, {"ok": True, "answer": 1}), heard) == {"answer": 1}
    assert heard.notes == ["a note"]


def test_an_error_says_more_than_is_known_and_less_than_a_book(tmp_path: Path) -> None:
    error = {"ref": "bad-option", "what": "x" * 1_000_000, "because": None, "hint": None, "since": 1}
    with pytest.raises(RunnerFailed) as caught:
        run(tmp_path, said({"ok": False, "error": error}))
    assert len(caught.value.line()) < 11_000


def test_a_line_without_an_end_and_lines_without_an_end_take_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "LINE_BYTES", 1 << 20)
    monkeypatch.setattr(wire, "STREAM_BYTES", 2 << 20)
    with pytest.raises(AnswerUnusable, match="the answer of nano to selftest cannot be used: a line is longer than 1 MiB"):
        run(tmp_path, b"", words=("cat", "/dev/zero"))
    with pytest.raises(AnswerUnusable, match="the answer of nano to selftest cannot be used: it is longer than 2 MiB"):
        run(tmp_path, b"", words=("yes", "a runtime that says much"))


def test_of_a_flood_on_standard_error_the_end_is_kept(tmp_path: Path) -> None:
    flood = f"head -c {LINES} /dev/zero | tr '\\0' x >&2; echo >&2; echo the last word >&2"
    with pytest.raises(RunnerCrashed, match="the last word") as caught:
        run(tmp_path, b"", words=("sh", "-c", flood))
    assert len(caught.value.line()) < 70_000


@pytest.mark.parametrize(
    ("request_", "answer", "because"),
    [
        ("hello", {"ok": True}, "python: Field required"),
        ("hello", {"ok": True, "python": "3.9", "folder": "/far", "free_bytes": 1}, "python: Input should be a valid tuple"),
        ("hello", {"ok": True, "python": [3, "x", 1], "folder": "/far", "free_bytes": 1}, "python.1: Input should be a valid"),
        ("hello", {"ok": True, "python": [3, 9, 1], "folder": ["/"], "free_bytes": 1}, "folder: Input should be a valid string"),
        ("have", {"ok": True, "missing": 5, "free_bytes": 1}, "missing: Input should be a valid list"),
        ("have", {"ok": True, "missing": ["x"], "free_bytes": 1}, "missing.0: String should match pattern"),
        ("have", {"ok": True, "missing": [], "free_bytes": -5}, "free_bytes: Input should be greater than or equal to 0"),
        ("lay", {"ok": True, "path": None}, "path: Input should be a valid string"),
        ("list", {"ok": True, "files": []}, "files: Input should be a valid dictionary"),
        ("list", {"ok": True, "files": {"a": {**FACTS, "bytes": -1}}}, "files.a.bytes: Input should be greater than"),
        ("list", {"ok": True, "files": {"a": {**FACTS, "bytes": 1 << 40}}}, "files: Value error, they are larger than 8 GiB"),
        ("list", {"ok": True, "files": {"a": {**FACTS, "age_s": 1e18}}}, "files.a.age_s: Input should be less than"),
        ("list", {"ok": True, "files": {"a": {**FACTS, "sha256": "../x"}}}, "files.a.sha256: String should match pattern"),
        ("list", {"ok": True, "files": {"../../.ssh/authorized_keys": FACTS}}, "files.../../.ssh/authorized_keys"),
        ("list", {"ok": True, "files": {"/etc/passwd": FACTS}}, "files./etc/passwd"),
        (
            "list",
            {"ok": True, "files": {"a\x1b[2Jb": FACTS}},
            "files.a\\x1b[2Jb.[key]: Value error, it is not the name of a result",
        ),
        ("hold", {"ok": False}, "ref: Field required"),
        ("hold", {"ok": False, "error": {"ref": "board-busy", "since_s": "long"}}, "since_s: Input should be a valid number"),
        ("hold", {"ok": False, "error": {"ref": "no-such"}}, "ref: Input should be"),
        ("hold", {"ok": 1}, "ok: Input should be a valid boolean"),
    ],
)
def test_an_answer_of_our_side_there_that_is_none_is_one_line(
    request_: str, answer: dict[str, Any], because: str, tmp_path: Path
) -> None:
    with pytest.raises(AnswerUnusable) as caught:
        Board(Liar(tmp_path, said(answer)), python=sys.executable).ask(request_)
    assert caught.value.line().startswith(f"the answer of nano to {request_} cannot be used: {because}")


def test_a_refusal_is_still_one(tmp_path: Path) -> None:
    busy = {"ok": False, "error": {"ref": "board-busy", "owner": "eve", "since_s": 3.0, "what": "a race", "far": True}}
    with pytest.raises(BoardBusy, match="nano is in use by eve for 3 s: a race"):
        Board(Liar(tmp_path, said(busy)), python=sys.executable).ask("hold")
    with pytest.raises(EdgecnnError, match="there was no error message", check=BOARD_FAILED.made):
        Board(Liar(tmp_path, said(DEEP, "x")), python=sys.executable).ask("have")


def test_an_answer_without_an_end_takes_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Liar, "command", lambda liar, remote: ["yes", "much"])
    with pytest.raises(AnswerUnusable, match="the answer of nano to the question cannot be used: it is longer than 64 MiB"):
        Liar(tmp_path).ask("", stdin=b"x" * 1_000_000, doing="the question")


def test_a_board_that_reads_nothing_and_says_nothing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Liar, "command", lambda liar, remote: ["sleep", "600"])
    began = time.monotonic()
    with pytest.raises(EdgecnnError, match="no answer in 1 s", check=LINK_LOST.made):
        Liar(tmp_path).ask("", stdin=b"x" * 1_000_000, timeout_s=1)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("stream", "error", "because"),
    [
        (b"another", BOARD_FAILED, "a was changed on the way"),
        (b"conte", BOARD_FAILED, "it broke off 2 bytes before its end"),
        (b"content and more", None, ""),
    ],
)
def test_of_a_file_exactly_what_was_listed_is_kept(stream: bytes, error: Any, because: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    listed = said({"ok": True, "files": {"a": FACTS}})
    liar = Liar(tmp_path, listed, said({"sends": 1}) + stream)
    liar.command = _ending(liar.command)  # type: ignore[method-assign]
    results = Results(board := Board(liar, python=sys.executable), Contents(board), tmp_path / "out")
    if error is None:
        results.fetch()
        assert (tmp_path / "out/a").read_bytes() == b"content"
        return
    with pytest.raises(EdgecnnError, match=because, check=error.made):
        results.fetch()
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".there.json"], "no half is left"


def _ending(command: Any) -> Any:
    """The answer, and then the end, without waiting for that of the request."""
    return lambda remote: ["sh", "-c", 'cat "$0"', command(remote)[-1]]


def test_a_content_that_was_not_asked_for_is_not_missing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"other")
    board = Board(Liar(tmp_path, said({"ok": True, "missing": [OBJECT], "free_bytes": 1 << 40})), python=sys.executable)
    with pytest.raises(AnswerUnusable, match="missing: it names a SHA-256 that was not requested"):
        Contents(board).send([tmp_path / "file"])


def test_a_board_that_never_says_that_it_is_held_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = SshHost(Board(Liar(tmp_path, said({"ok": True})), python=sys.executable), "lock", "a test")
    with pytest.raises(AnswerUnusable, match="the answer of nano to hold cannot be used: held: Field required"):
        host._lock_board()
    host._unlock()


@pytest.mark.parametrize(
    ("info", "because"),
    [
        ({}, "environment: Field required"),
        ({"environment": {"conditions": {"cpu": 5}, "observed": {}}, "runtimes": {}}, "environment.conditions.cpu: Input should"),
        (
            {"environment": {"conditions": {}, "observed": {"others_percent": "nan"}}, "runtimes": {}},
            "environment.observed: Value",
        ),
        ({"environment": {"conditions": {}, "observed": {}}, "runtimes": {"tensorrt": {}}}, "runtimes.tensorrt: Input should"),
    ],
)
def test_what_a_machine_says_of_itself_is_checked(info: dict[str, Any], because: str) -> None:
    with pytest.raises(AnswerUnusable, match=f"^the answer of nano to info cannot be used: {because}"):
        parse_info(info, "nano")
    with pytest.raises(
        AnswerUnusable, match="^the answer of this machine to info --builder cannot be used: builder: Field required"
    ):
        parse_builder({}, None)
