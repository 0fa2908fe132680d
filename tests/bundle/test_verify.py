"""Every byte, nothing extra, nothing missing; and what is refused is refused by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgecnn.bundle import verify as verifying
from edgecnn.bundle.manifest import MANIFEST, Unlearned
from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.bundle import BUNDLE_FILE_EXTRA, NO_BUNDLE_HERE
from edgecnn.render.screens.bundle import warning_lines
from tests.bundle.sealed import KIT, KIT_FOLDER, publish, published, reseal, verified
from tests.bundle.test_opening import refusal

AGAIN = "copy the bundle again from the machine that built it"


def test_a_published_bundle_is_whole_as_a_folder_a_build_and_a_zip(whole: Path, archive: Path) -> None:
    found = [verified(path).facts for path in (whole, whole.parent, archive)]
    assert [each.form for each in found] == ["folder", "folder", "zip"]
    assert len({each.sha256 for each in found}) == 1
    assert (found[0].kits, found[0].chosen, found[0].signature) == ((KIT,), KIT, "none")
    assert found[0].files == sum(path.is_file() for path in whole.rglob("*")) - 1


def test_a_changed_byte_of_any_file_is_named(bundle: Path) -> None:
    for path in [path for path in sorted(bundle.rglob("*")) if path.is_file() and path.name != MANIFEST]:
        content = path.read_bytes()
        if not content:
            continue
        path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
        assert refusal(bundle).startswith(f"{path.relative_to(bundle).as_posix()} was changed: its SHA-256 is ")
        path.write_bytes(content)


def test_a_file_of_another_length_is_not_even_read(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.truncate(bundle / KIT_FOLDER / "model.onnx", 1 << 40)  # sparse
    monkeypatch.setattr(verifying, "sha256_of_entry", lambda *_: pytest.fail("read"))
    said = refusal(bundle)
    assert said.startswith(f"{KIT_FOLDER}/model.onnx was changed: 1,099,511,627,776 bytes here, ")
    assert said.endswith(f" in bundle.json — {AGAIN} [bundle-file-changed]")


def test_a_missing_file_is_named(bundle: Path) -> None:
    (bundle / KIT_FOLDER / "runner" / "kit.py").unlink()
    assert refusal(bundle) == (f"{KIT_FOLDER}/runner/kit.py is missing: bundle.json lists it — {AGAIN} [bundle-file-missing]")


@pytest.mark.parametrize("name", ["numpy.py", f"{KIT_FOLDER}/numpy.py", "kits/other/kit.json", ".hidden"])
def test_a_file_that_nobody_listed_is_named(bundle: Path, name: str) -> None:
    (bundle / name).parent.mkdir(exist_ok=True)
    (bundle / name).write_text("import os")
    assert "[bundle-file-extra]" in refusal(bundle)
    with pytest.raises(EdgecnnError, check=BUNDLE_FILE_EXTRA.made):
        verified(bundle, made_here=True)


@pytest.mark.parametrize(
    "name", ["measured/run-1.so", f"{KIT_FOLDER}/build/engine.plan", f"{KIT_FOLDER}/runner/__pycache__/kit.cpython-311.pyc"]
)
def test_what_using_it_leaves_is_refused_unless_this_machine_is_said_to_have_made_it(bundle: Path, name: str) -> None:
    (bundle / name).parent.mkdir()
    (bundle / name).write_bytes(b"x")
    assert "[bundle-file-extra]" in refusal(bundle)
    assert verified(bundle, made_here=True).facts.made_here == (name,)


@pytest.mark.parametrize("name", ["measured/run-00000.json", "measured/asked.json", "measured/energy/run-00000.log"])
def test_runs_of_measure_need_no_permission_because_they_are_only_data(bundle: Path, name: str) -> None:
    (bundle / name).parent.mkdir(parents=True)
    (bundle / name).write_text("{}")
    assert verified(bundle).facts.made_here == (name,)


def test_a_measured_bundle_verifies(bundle: Path) -> None:
    """Runs the command that a user runs on a board, and then verifies the same folder."""
    call = [sys.executable, "-m", "runner", "measure", "../..", "--rounds", "1", "--samples", "2"]
    subprocess.run(call, cwd=bundle / KIT_FOLDER, check=True, capture_output=True)
    names = verified(bundle).facts.made_here
    assert "measured/run-00000.json" in names
    assert all(name.startswith("measured/") for name in names)


@pytest.mark.parametrize("words", [("selftest",), ("predict", "golden/photo.jpg"), ("info",)])
def test_a_kit_that_was_run_by_hand_is_still_as_it_was_packed(bundle: Path, words: tuple[str, ...]) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    call = [sys.executable, "-m", "runner", *words]
    subprocess.run(call, cwd=bundle / KIT_FOLDER, env=environment, check=True, capture_output=True)
    assert list(bundle.rglob("__pycache__")) == []
    assert verified(bundle).facts.made_here == ()


def test_byte_code_that_was_planted_is_not_removed_with_what_a_run_made(bundle: Path) -> None:
    planted = bundle / KIT_FOLDER / "runner/__pycache__/kit.cpython-38.pyc"
    planted.parent.mkdir()
    planted.write_bytes(b"x")
    subprocess.run([sys.executable, "-m", "runner", "info"], cwd=bundle / KIT_FOLDER, check=True, capture_output=True)
    assert refusal(bundle).startswith(planted.relative_to(bundle).as_posix())


def test_a_bundle_from_before_there_were_manifests_says_how_to_get_one(bundle: Path) -> None:
    (bundle / MANIFEST).unlink()
    assert "[bundle-without-manifest]" in refusal(bundle)


def test_a_folder_without_a_bundle_says_which_folders_have_one(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"x")
    with pytest.raises(EdgecnnError, check=NO_BUNDLE_HERE.made) as raised:
        verified(tmp_path)
    assert raised.value.line() == (
        f"{tmp_path} is not a bundle: it has no bundle.json"
        " — pass the folder of a build, its bundle/, or a zip of the bundle [no-bundle-here]"
    )


Change = Callable[[dict[str, object]], object]


@pytest.mark.parametrize(
    "change, because",
    [
        (lambda facts: facts.update(schema="edgecnn.bundle/2"), "schema: input should be 'edgecnn.bundle/1'"),
        (lambda facts: facts.update(extra=1), "extra: extra inputs are not permitted"),
        (lambda facts: facts.update(version="1"), "version: input should be a valid integer"),
        (lambda facts: facts.update(version=0), "version: input should be greater than or equal to 1"),
        (lambda facts: facts.pop("name"), "name: field required"),
        (
            lambda facts: facts.update(files={"x": {"sha256": "0" * 64, "bytes": 1 << 40}}),
            None,
        ),
    ],
)
def test_a_manifest_that_says_something_else_is_refused(bundle: Path, change: Change, because: str | None) -> None:
    facts = json.loads((bundle / MANIFEST).read_text())
    change(facts)
    (bundle / MANIFEST).write_text(json.dumps(facts))
    expected = "x is missing: bundle.json lists it" if because is None else f"{MANIFEST} cannot be read: {because}"
    assert refusal(bundle).startswith(expected)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b'{"schema": "edgecnn.bundle/1", "schema": "edgecnn.bundle/1"}']
)
def test_a_manifest_that_is_no_json_is_refused(bundle: Path, content: bytes) -> None:
    (bundle / MANIFEST).write_bytes(content)
    assert refusal(bundle).startswith(f"{MANIFEST} cannot be read: it is not valid JSON (")
    assert refusal(bundle).endswith(f" — {AGAIN} [bundle-manifest-unreadable]")


def test_a_manifest_of_absurd_length_is_not_read(bundle: Path) -> None:
    os.truncate(bundle / MANIFEST, 1 << 40)
    assert refusal(bundle).startswith(f"{MANIFEST} cannot be read: it is longer than 16,777,216 bytes")


def test_a_manifest_that_names_a_file_outside_is_refused(bundle: Path) -> None:
    facts = json.loads((bundle / MANIFEST).read_text())
    facts["files"]["../../.ssh/authorized_keys"] = {"sha256": "0" * 64, "bytes": 1}
    (bundle / MANIFEST).write_text(json.dumps(facts))
    assert refusal(bundle).startswith("refused: '../../.ssh/authorized_keys' would leave the bundle's folder")


def test_publishing_the_same_again_changes_nothing_and_something_new_has_the_next_version(tmp_path: Path) -> None:
    bundle = published(tmp_path / "flowers")
    before = (bundle / MANIFEST).stat().st_mtime_ns
    publish(tmp_path / "flowers", tmp_path / "flowers" / "made" / KIT)
    assert (bundle / MANIFEST).stat().st_mtime_ns == before
    (bundle / "README.md").write_text("edited")
    publish(tmp_path / "flowers", tmp_path / "flowers" / "made" / KIT)
    assert (verified(bundle).facts.version, verified(bundle).facts.name) == (2, "out")


def test_a_network_that_is_not_shown_to_have_learned_is_a_fact_of_its_verification(bundle: Path) -> None:
    assert verified(bundle).facts.unlearned == {}
    choice = json.loads((bundle / "choice.json").read_text())
    choice["kits"][KIT]["unlearned"] = {"metric": "top1", "accuracy": 0.07, "chance": 0.1}
    (bundle / "choice.json").write_text(json.dumps(choice))
    reseal(bundle)
    facts = verified(bundle).facts.unlearned
    assert facts == {KIT: Unlearned(metric="top1", accuracy=0.07, chance=0.1)}
    (line,) = warning_lines((), facts)
    assert KIT in line and "7.0 %" in line and "10.0 %" in line


def test_a_file_of_the_users_own_is_named_with_the_place_for_it(bundle: Path) -> None:
    (bundle / "classify.py").write_text("import runner")
    with pytest.raises(EdgecnnError, check=BUNDLE_FILE_EXTRA.made) as caught:
        verified(bundle)
    assert caught.value.fields["file"] == "classify.py"
    assert "out of the bundle" in str(caught.value.hint)
