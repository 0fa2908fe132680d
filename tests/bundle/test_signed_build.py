"""`build --sign`: the bundle of a build that passes is signed, and the page in it says how it is used."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.building.builds import Place


@pytest.mark.slow  # judges anew and measures a zip
@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="apt-get install openssh-client")
def test_a_build_that_passes_is_signed_and_its_zip_answers(built: Place, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    (tmp_path / "signers").write_text(f"ann@example.com {(tmp_path / 'key.pub').read_text()}")
    out = tmp_path / "flowers"
    made = built.run("build", "--out", str(out), "--sign", str(tmp_path / "key"))
    assert (made.returncode, made.stderr.splitlines()[-1]) == (0, "edgecnn: signed flowers version 1")
    zipped = built.plain("bundle", "zip", out, "--out", tmp_path / "x.zip")
    assert zipped.returncode == 0, zipped.stderr
    verified = built.plain("bundle", "verify", tmp_path / "x.zip", "--allowed-signers", tmp_path / "signers")
    assert (verified.returncode, verified.stdout.splitlines()[-1]) == (0, "  signed by ann@example.com")
    answered = built.plain("predict", tmp_path / "x.zip", built.photos / "bag" / "000.png", "--csv", "--top", "1")
    assert answered.returncode == 0, answered.stderr
    assert answered.stdout.splitlines()[0] == "file,rank,label,probability"
    page = (out / "bundle" / "README.md").read_text(encoding="utf-8")
    assert "of 30 images that nothing was trained on" in page
    assert "## The training images\n\nUnknown" in (out / "bundle" / "LICENCES.md").read_text(encoding="utf-8")

    signature = (out / "bundle" / "bundle.json.sig").read_bytes()
    failed = built.run("build", "--out", str(out), "--sign", str(tmp_path / "key"), "--min", "top1=0.999")
    assert failed.returncode == 1
    assert "not signed" in failed.stderr.splitlines()[-1]
    assert "earlier signature" in failed.stderr.splitlines()[-1]
    assert (out / "bundle" / "bundle.json.sig").read_bytes() == signature
    (out / "bundle" / "bundle.json.sig").unlink()
    unsigned = built.run("build", "--out", str(out), "--sign", str(tmp_path / "key"), "--min", "top1=0.999")
    assert "not signed" in unsigned.stderr.splitlines()[-1]
    assert "earlier signature" not in unsigned.stderr.splitlines()[-1]
    assert not (out / "bundle" / "bundle.json.sig").exists()
