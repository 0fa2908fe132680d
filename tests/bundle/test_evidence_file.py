"""A record of evidence is believed only as it was written; whoever changed, cut or made one up meets a refusal that says why."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from edgecnn.bundle import ssh_keygen
from edgecnn.bundle.evidence import (
    EVIDENCE_BYTES_MAX,
    UNSIGNED,
    EvidenceTrust,
    read_evidence,
    redact_paths,
    require_record_file,
    seal,
    verify_evidence,
)
from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.bundle import SIGNERS_NOT_NAMED
from edgecnn.errors.measuring import EVIDENCE_CHANGED
from edgecnn.errors.usage import RESULT_FILE_UNWRITABLE
from tests.bundle.evidence_records import (
    EMULATED,
    HERE,
    a_network,
    an_emulated_kit,
    an_evidence,
    an_evidence_kit,
    edited,
    written,
)
from tests.bundle.test_signing import allow, needs_ssh_keygen
from tests.house.schemas import FOLDER
from tests.judging.made import a_latency, an_interval

AGAIN = "ask the person who measured it for a new copy"
WRITES = f"{AGAIN}, or write a record with `edgecnn evidence --target DEVICE` [evidence-unreadable]"
OPEN = EvidenceTrust()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path / "evidence.json")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ann", "bob"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    allow(folder / "signers", "ann@example.com", folder / "ann.pub")
    return folder


def refusal(path: Path, trust: EvidenceTrust = OPEN) -> str:
    with pytest.raises(EdgecnnError) as caught:
        verify_evidence(path, trust)
    assert caught.value.exit_code is ExitCode.BAD_INPUT
    return caught.value.line().removeprefix(f"{path} ").replace(f"the signature of {path}", "its signature")


def unreadable(because: str) -> str:
    return f"cannot be read as evidence: {because} — {WRITES}"


def test_what_was_written_is_read_back_whole_and_satisfies_its_schema(file: Path) -> None:
    found = verify_evidence(file, OPEN)
    assert found.record == seal(an_evidence(), None)
    assert (found.signature, found.vouched_by) == ("none", None)
    assert found.warnings == (UNSIGNED,)
    for name, document in (
        ("evidence", json.loads(file.read_text())),
        ("evidence-verification", found.model_dump(mode="json", by_alias=True)),
    ):
        Draft202012Validator(json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))).validate(document)


FIGURES: dict[str, Callable[[dict[str, Any]], object]] = {
    "a median": lambda it: it["networks"][0]["kits"][0]["latency"]["p50_ms"].update(estimate=1.0, low=0.9),
    "the number of runs": lambda it: it["networks"][0]["kits"][0]["latency"].update(runs=80),
    "the governor": lambda it: it["environment"]["conditions"].update(governor="powersave"),
    "the device": lambda it: it.update(device="raspberry-pi-4"),
    "the date": lambda it: it.update(measured_at="2027-01-01T00:00:00+00:00"),
    "a size": lambda it: it["networks"][0]["kits"][0].update(size_mib=1.0),
    "what was left out": lambda it: it.update(left_out={"resnet-50": "x"}),
}


@pytest.mark.parametrize("figure", FIGURES)
def test_a_changed_figure_is_refused_whichever_it_is(file: Path, figure: str) -> None:
    assert "[evidence-changed]" in refusal(edited(file, FIGURES[figure]))


def test_another_layout_of_the_same_content_is_no_change(file: Path) -> None:
    assert read_evidence(edited(file, lambda it: it)).record == seal(an_evidence(), None)


@pytest.mark.parametrize(
    ("content", "because"),
    [
        (b"", "it is not valid JSON (JSONDecodeError)"),
        (b"\xff\xfe", "it is not valid JSON (UnicodeDecodeError)"),
        (b"[" * 200_000, "it is not valid JSON (RecursionError)"),
        (b'{"a":' * 200_000, "it is not valid JSON (RecursionError)"),
        (b'{"minutes": NaN}', "it is not valid JSON (ValueError)"),
        (b'{"schema": "edgecnn.evidence/1", "schema": "edgecnn.evidence/1"}', "it is not valid JSON (ValueError)"),
        (b"[1, 2]", "Input should be an object"),
        (b'{"schema": "edgecnn.report/2"}', "its schema is edgecnn.report/2, and this version reads edgecnn.evidence/1"),
        (b'{"schema": "edgecnn.evidence/9"}', "its schema is edgecnn.evidence/9, and this version reads edgecnn.evidence/1"),
        (b'{"schema": "edgecnn.evidence/1"}', "version: Field required"),
        (b"{" + b" " * EVIDENCE_BYTES_MAX + b"}", "it is larger than 4 MiB"),
    ],
)  # fmt: skip
def test_what_is_no_record_is_refused_with_the_reason(tmp_path: Path, content: bytes, because: str) -> None:
    path = tmp_path / "evidence.json"
    path.write_bytes(content)
    assert refusal(path) == unreadable(because)


def test_a_record_that_is_cut_off_anywhere_is_refused(file: Path) -> None:
    whole = file.read_bytes()
    for end in range(0, len(whole) - 2, 97):
        file.write_bytes(whole[:end])
        assert "[evidence-unreadable]" in refusal(file)


def test_a_folder_and_what_is_not_there_are_no_records(tmp_path: Path) -> None:
    assert refusal(tmp_path) == unreadable("is a directory")
    assert refusal(tmp_path / "gone.json") == unreadable("no such file or directory")
    assert refusal(Path("\0")).startswith("\\x00 cannot be read as evidence: its path holds a NUL character")


@pytest.mark.parametrize(
    ("change", "because"),
    [
        (lambda it: it["networks"][0]["kits"][0].update(size_mib=float("inf")), "it is not valid JSON (ValueError)"),
        (lambda it: it["networks"][0]["kits"][0].update(size_mib="13.4"), "networks.0.kits.0.size_mib: Input should be "
         "a valid number"),
        (lambda it: it.update(more=1), "more: Extra inputs are not permitted"),
    ],
)  # fmt: skip
def test_what_the_schema_does_not_have_is_named(file: Path, change: Callable[[dict[str, Any]], object], because: str) -> None:
    assert refusal(edited(file, change)) == unreadable(because)


def test_a_number_that_is_none_as_soon_as_it_is_read_is_refused(file: Path) -> None:
    file.write_text(file.read_text().replace('"size_mib": 13.4', '"size_mib": 1e999', 1))
    assert refusal(file) == unreadable("one of its figures is not a finite number")


def test_a_measured_figure_of_an_emulated_machine_is_refused_though_its_digest_is_right(tmp_path: Path) -> None:
    emulated = an_evidence(a_network(an_emulated_kit()), environment=EMULATED)
    assert read_evidence(written(tmp_path / "good.json", emulated)).record.environment.fidelity.value == "emulated"
    called_measured = an_evidence_kit(environment=EMULATED)
    forged = written(tmp_path / "forged.json", an_evidence(a_network(called_measured), environment=EMULATED))
    assert refusal(forged) == unreadable(
        "onnxruntime-fp32 of mobilenet-v3-small is called measured, but its environment is emulated"
    )
    mixed = written(tmp_path / "mixed.json", an_evidence(a_network(an_emulated_kit()), environment=HERE))
    assert refusal(mixed) == unreadable("onnxruntime-fp32 of mobilenet-v3-small and its machine disagree about emulation")


def test_a_figure_outside_its_own_interval_is_refused(tmp_path: Path) -> None:
    kit = an_evidence_kit(latency=a_latency(an_interval(1.0, 2.0, 3.0)))
    path = written(tmp_path / "evidence.json", an_evidence(a_network(kit)))
    assert refusal(path) == unreadable("onnxruntime-fp32 of mobilenet-v3-small: p50_ms is not inside its interval")
    kit = an_evidence_kit(latency=a_latency(an_interval(1.0), p90_ms=an_interval(1.0, 2.0, 3.0)))
    path = written(tmp_path / "evidence.json", an_evidence(a_network(kit)))
    assert refusal(path) == unreadable("onnxruntime-fp32 of mobilenet-v3-small: p90_ms is not inside its interval")


@needs_ssh_keygen
def test_a_signature_names_its_key_and_where_signers_are_named_its_signer(tmp_path: Path, keys: Path) -> None:
    path = written(tmp_path / "evidence.json", key=keys / "ann")
    found = verify_evidence(path, OPEN)
    printed = subprocess.run(["ssh-keygen", "-l", "-f", keys / "ann.pub"], capture_output=True, text=True, check=True).stdout
    assert (found.signature, found.key) == ("intact", printed.split()[1])
    assert len(found.warnings) == 1 and "--allowed-signers" in found.warnings[0]
    good = verify_evidence(path, EvidenceTrust(keys / "signers", "ann@example.com"))
    assert (good.signature, good.signer, good.warnings) == ("good", "ann@example.com", ())


@needs_ssh_keygen
def test_a_figure_that_was_changed_with_its_digest_breaks_the_signature(tmp_path: Path, keys: Path) -> None:
    path = written(tmp_path / "evidence.json", key=keys / "ann")
    signature = read_evidence(path).record.signature
    forged = seal(an_evidence(minutes=10.0), None).model_copy(update={"signature": signature})
    path.write_text(forged.model_dump_json(by_alias=True))
    for trust in (OPEN, EvidenceTrust(keys / "signers")):
        assert refusal(path, trust).startswith("its signature is refused: ")


@needs_ssh_keygen
def test_of_another_signer_a_bundle_s_namespace_or_nobody_it_is_refused(tmp_path: Path, keys: Path) -> None:
    signers = EvidenceTrust(keys / "signers")
    assert refusal(written(tmp_path / "bob.json", key=keys / "bob"), signers).startswith(
        "its signature is refused: no signer in "
    )
    assert "[evidence-unsigned]" in refusal(written(tmp_path / "unsigned.json"), signers)
    path = written(tmp_path / "bundle.json")
    content = read_evidence(path).content
    of_a_bundle = ssh_keygen.sign(content, keys / "ann")
    assert "its signature is refused" in refusal(edited(path, lambda it: it.update(signature=of_a_bundle)), signers)
    huge = edited(path, lambda it: it.update(signature="x" * 70_000))
    assert "[signature-refused]" in refusal(huge)


def test_without_ssh_keygen_a_signature_is_said_to_be_unchecked(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edited(file, lambda it: it.update(signature="-----BEGIN SSH SIGNATURE-----"))
    monkeypatch.setattr(ssh_keygen.shutil, "which", lambda _: None)
    found = verify_evidence(file, OPEN)
    assert (found.signature, found.warnings) == (
        "unchecked",
        ("its signature was not checked, because ssh-keygen is not installed",),
    )


def test_asking_for_a_signer_without_saying_who_may_sign_is_refused() -> None:
    with pytest.raises(EdgecnnError, match="--identity", check=SIGNERS_NOT_NAMED.made):
        EvidenceTrust(identity="ann@example.com")


def test_a_file_that_holds_something_else_is_refused_before_anything_is_measured(tmp_path: Path, file: Path) -> None:
    require_record_file(file)
    require_record_file(tmp_path / "new.json")
    (tmp_path / "thesis.json").write_text("{}")
    for path, because in (
        (tmp_path / "thesis.json", "it exists, and is not a record of evidence"),
        (tmp_path, "it is a folder"),
        (tmp_path / "no" / "evidence.json", "its folder does not exist"),
    ):
        with pytest.raises(EdgecnnError, check=RESULT_FILE_UNWRITABLE.made) as caught:
            require_record_file(path)
        assert caught.value.because == because


def test_a_digest_is_of_the_file_so_that_a_later_version_s_defaults_change_nothing(file: Path) -> None:
    edited(file, lambda it: it.pop("warnings"))
    with pytest.raises(EdgecnnError, check=EVIDENCE_CHANGED.made):
        read_evidence(file)


def test_a_path_keeps_its_last_name_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann smith")
    assert redact_paths("/home/bob/x/kit.json: no kit; see '/root/a b'") == "…/kit.json: no kit; see '…/a b'"
    assert (
        redact_paths("/home/ann smith/env/bin/python lacks numpy, as '/home/ann lee/x' does")
        == "…/python lacks numpy, as '…/x' does"
    )
    assert redact_paths("12 ms/run and 3/4 of it") == "12 ms/run and 3/4 of it"
    assert redact_paths("pi@10.0.0.5: no room; ask pi@10.0.0.5", "pi@10.0.0.5") == "no room; ask the board"
    assert redact_paths("pi: pip is not in /opt/pi/bin; ask pi.", "pi") == "pip is not in …/bin; ask the board."
    assert redact_paths("pip: raspberry-pi-5 lacks api: x", "pi") == "pip: raspberry-pi-5 lacks api: x"
