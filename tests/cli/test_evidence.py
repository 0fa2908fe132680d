"""`edgecnn evidence` and `edgecnn evidence verify` as a user meets them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edgecnn.bench import evidence as of_evidence
from edgecnn.bundle.evidence import UNSIGNED, EvidenceTrust, verify_evidence
from edgecnn.cli import usage
from edgecnn.cli.main import app
from edgecnn.errors.base import ExitCode
from tests.bundle.evidence_records import an_evidence, edited, written
from tests.bundle.test_signing import needs_ssh_keygen


def called(monkeypatch: pytest.MonkeyPatch, *words: str) -> ExitCode:
    monkeypatch.setattr("sys.argv", ["edgecnn", *words])
    return usage.run(app)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What measuring is asked; it gives a record at once."""
    heard: list[Any] = []

    def measured(request: Any, *_: object) -> Any:
        heard.append(request)
        return an_evidence(device=request.device.name)

    monkeypatch.setattr(of_evidence, "evidence_of", measured)
    return heard


def test_the_options_reach_measuring_and_the_record_lies_under_the_device_s_name(requests: list[Any], tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["evidence", "--target", "raspberry-pi-5:litert", "--host", "pi@10.0.0.5", "--minutes", "12"])
    assert done.exit_code == 0, done.output
    (request,) = requests
    assert (request.device.name, request.runtime, request.host.address, request.minutes) == (
        "raspberry-pi-5", "litert", "pi@10.0.0.5", 12.0,
    )  # fmt: skip
    (path,) = tmp_path.glob("evidence-raspberry-pi-5-20*.json")
    assert done.stdout.splitlines()[-1] == f"wrote {path.name}, unsigned; `edgecnn evidence verify {path.name}` checks it"
    assert verify_evidence(path, EvidenceTrust()).signature == "none"


@needs_ssh_keygen
def test_a_key_signs_it_and_one_that_cannot_costs_nothing(requests: list[Any], tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "ann")], check=True)
    (tmp_path / "signers").write_text(f"ann@example.com {(tmp_path / 'ann.pub').read_text()}")
    done = CliRunner().invoke(app, ["evidence", "--target", "cpu", "--out", "here.json", "--sign", "ann", "--json"])
    assert json.loads(done.stdout)["signature"].startswith("-----BEGIN SSH SIGNATURE-----")
    result = CliRunner().invoke(app, ["evidence", "verify", "here.json", "--allowed-signers", "signers"])
    assert (result.exit_code, result.stdout.splitlines()[0].rpartition("; ")[2]) == (0, "signed by ann@example.com")
    refused = CliRunner().invoke(app, ["evidence", "--target", "cpu", "--sign", "signers"])
    assert (refused.exit_code, len(requests)) == (2, 1)


@pytest.mark.parametrize(
    ("words", "ref"),
    [
        ((), None),
        (("--minutes", "5"), "missing-argument"),
        (("--target", "rasberry-pi-5"), "unknown-device"),
        (("--target", ""), "empty-option"),
        (("--target", "cpu", "--minutes", "0"), "bad-value"),
        (("--target", "cpu", "--out", "thesis.json"), "result-file-unwritable"),
        (("--target", "cpu", "--out", "no/such/folder.json"), "result-file-unwritable"),
        (("--target", "cpu", "--python", "python3"), "host-option-without-host"),
        (("--target", "cpu", "verify", "x.json"), "options-before-verb"),
        (("--json", "verify", "x.json"), "options-before-verb"),
        (("verify",), "missing-argument"),
        (("verify", "x.json"), "evidence-unreadable"),
        (("verify", "x.json", "--identity", "ann"), "signers-not-named"),
        (("prove", "x.json"), "no-such-command"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_bad_input_and_nothing_is_measured(
    requests: list[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    ref: str | None,
) -> None:
    (tmp_path / "thesis.json").write_text("{}")
    assert called(monkeypatch, "evidence", *words) is ExitCode.BAD_INPUT
    errors = capsys.readouterr().err
    assert requests == []
    assert ref is None or f'"ref": "{ref}"' in errors or f"[{ref}]" in errors
    assert (tmp_path / "thesis.json").read_text() == "{}"


def test_help_shows_its_own_options_and_the_verb_below_it() -> None:
    shown = CliRunner().invoke(app, ["evidence", "--help"], env={"COLUMNS": "120"}).stdout
    assert all(word in shown for word in ("--target", "--minutes", "--host", "--sign", "verify"))


def test_an_earlier_record_is_written_over_and_nothing_else_is(requests: list[Any], tmp_path: Path) -> None:
    written(tmp_path / "here.json")
    assert CliRunner().invoke(app, ["evidence", "--target", "cpu", "--out", "here.json"]).exit_code == 0
    assert verify_evidence(tmp_path / "here.json", EvidenceTrust()).record.device == "cpu"


def test_a_whole_record_is_said_in_plain_words_with_what_nobody_vouches_for_on_stderr(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["evidence", "verify", str(written(tmp_path / "pi.json"))])
    assert done.exit_code == 0
    assert done.stdout.splitlines()[1].startswith("  claims: 1 network measured on a board, ")
    assert done.stderr == f"edgecnn: warning: {UNSIGNED}\n"


def test_a_changed_figure_ends_with_2_and_nothing_on_stdout(tmp_path: Path) -> None:
    path = edited(written(tmp_path / "pi.json"), lambda it: it["networks"][0]["kits"][0]["latency"].update(runs=80))
    done = CliRunner().invoke(app, ["evidence", "verify", str(path)])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "[evidence-changed]" in done.stderr


def test_ctrl_c_ends_with_130_says_that_the_same_command_goes_on_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(of_evidence, "evidence_of", interrupted)
    assert called(monkeypatch, "evidence", "--target", "cpu", "--out", "here.json") is ExitCode.INTERRUPTED
    assert "interrupted" in capsys.readouterr().err
    assert not (tmp_path / "here.json").exists()
