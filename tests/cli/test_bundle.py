"""`edgecnn bundle verify` and `edgecnn bundle zip` as a user meets them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from edgecnn.bundle.verify import UNSIGNED
from edgecnn.cli.main import app
from tests.bundle.sealed import copied, published
from tests.house.schemas import FOLDER


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published(tmp_path_factory.mktemp("bundles") / "flowers")


def schema(name: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")))


def test_a_zip_is_written_verified_and_its_json_satisfies_its_schema(whole: Path, tmp_path: Path) -> None:
    made = CliRunner().invoke(app, ["bundle", "zip", str(whole.parent), "--out", str(tmp_path / "x.zip"), "--json"])
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["bytes"] == (tmp_path / "x.zip").stat().st_size
    result = CliRunner().invoke(app, ["bundle", "verify", str(tmp_path / "x.zip"), "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    schema("verification").validate(document)
    assert (document["form"], document["version"], document["kits"]) == ("zip", 1, ["onnxruntime-fp32"])
    schema("bundle").validate(json.loads((whole / "bundle.json").read_text()))


def test_a_whole_bundle_is_said_to_be_whole(whole: Path) -> None:
    done = CliRunner().invoke(app, ["bundle", "verify", str(whole)])
    lines = done.stdout.splitlines()
    assert done.exit_code == 0
    assert lines[0].startswith(f"{whole}: complete, ") and lines[0].endswith(" as packed: out version 1")
    assert lines[1] == "  kits: onnxruntime-fp32; onnxruntime-fp32 is chosen"
    assert lines[2].startswith("  bundle.json: SHA-256 ")


def test_a_changed_one_is_bad_input_with_nothing_on_stdout(whole: Path, tmp_path: Path) -> None:
    bundle = copied(whole, tmp_path / "bundle")
    (bundle / "choice.json").write_text("{}")
    done = CliRunner().invoke(app, ["bundle", "verify", str(bundle)])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"edgecnn: error: choice.json in {bundle} was changed: 2 bytes here, ")
    as_json = CliRunner().invoke(app, ["bundle", "verify", str(bundle), "--json"])
    assert json.loads(as_json.stderr)["error"]["ref"] == "bundle-file-changed"
    refused = CliRunner().invoke(app, ["bundle", "zip", str(bundle), "--out", str(tmp_path / "x.zip")])
    assert refused.exit_code == 2
    assert not (tmp_path / "x.zip").exists()


def test_an_sbom_is_a_file_or_the_same_on_stdout(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.cdx.json"
    shown = CliRunner().invoke(app, ["bundle", "sbom", str(whole.parent)])
    written = CliRunner().invoke(app, ["bundle", "sbom", str(whole), "--out", str(out)])
    assert (shown.exit_code, written.exit_code) == (0, 0), shown.output + written.output
    assert shown.stdout == out.read_text(encoding="utf-8")
    assert written.stdout == f"{out}: 5 components of out version 1\n"
    assert json.loads(shown.stdout)["specVersion"] == "1.6"
    assert shown.stderr == f"edgecnn: warning: {UNSIGNED}\n"


def test_a_changed_bundle_has_no_sbom(whole: Path, tmp_path: Path) -> None:
    bundle = copied(whole, tmp_path / "bundle")
    (bundle / "README.md").write_text("another")
    done = CliRunner().invoke(app, ["bundle", "sbom", str(bundle), "--out", str(tmp_path / "out.cdx.json")])
    assert (done.exit_code, done.stdout, (tmp_path / "out.cdx.json").exists()) == (2, "", False)


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="apt-get install openssh-client")
def test_signing_and_verifying_from_the_command_line(whole: Path, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    (tmp_path / "signers").write_text(f"ann@example.com {(tmp_path / 'key.pub').read_text()}")
    bundle = copied(whole, tmp_path / "bundle")
    done = CliRunner().invoke(app, ["bundle", "sign", str(bundle), "--key", str(tmp_path / "key"), "--version", "4"])
    assert (done.exit_code, done.stdout) == (0, f"{bundle}: out version 4, signed\n")
    strict = ["--allowed-signers", str(tmp_path / "signers"), "--require-signature", "--remember", str(tmp_path / "accepted")]
    good = CliRunner().invoke(app, ["bundle", "verify", str(bundle), *strict, "--identity", "ann@example.com"])
    assert (good.exit_code, good.stderr) == (0, "")
    assert good.stdout.splitlines()[-1] == "  signed by ann@example.com"
    unsigned = CliRunner().invoke(app, ["bundle", "verify", str(whole), *strict])
    assert (unsigned.exit_code, unsigned.stdout) == (2, "")
    warned = CliRunner().invoke(app, ["bundle", "verify", str(whole)])
    assert warned.stderr == f"edgecnn: warning: {UNSIGNED}\n"


def test_a_verb_that_makes_no_bundle_cannot_sign_one_and_a_build_looks_at_the_key_first(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["train", "demo", "--sign", "key"])
    assert (done.exit_code, done.stderr) == (
        2,
        "edgecnn: error: `edgecnn train` makes no bundle that --sign could sign"
        " — run edgecnn build --sign KEY, or edgecnn bundle sign BUNDLE --key KEY [nothing-to-sign]\n",
    )
    done = CliRunner().invoke(app, ["build", "demo", "--out", str(tmp_path / "out"), "--sign", str(tmp_path / "absent")])
    assert done.exit_code in (2, 3)
    assert not (tmp_path / "out").exists()
