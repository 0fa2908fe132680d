"""The README does what it says: command 1 builds, command 2 is what CI runs, and every command shown parses."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest
import typer
from jsonschema import Draft202012Validator

from edgecnn.cli.main import app
from edgecnn.installed import resource_folder
from tests.house.conftest import Build
from tests.house.documents import commands_in, documents, shell_lines, words_of
from tests.house.schemas import FOLDER
from tests.house.source_tree import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [(path.relative_to(ROOT).as_posix(), command) for path in documents() for command in commands_in(path)]


def schema(name: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize("document, command", COMMANDS)
def test_a_command_that_a_document_shows_is_one_that_the_command_line_takes(document: str, command: str) -> None:
    root = typer.main.get_command(app)
    context = root.make_context("edgecnn", words_of(command)[1:])
    while rest := [*context._protected_args, *context.args]:
        name, verb, rest = context.command.resolve_command(context, rest)  # type: ignore[attr-defined]
        assert verb is not None, f"{document}: {command}"
        context = verb.make_context(name, list(rest), parent=context)


def test_the_readme_shows_every_verb_of_the_command_line() -> None:
    shown = {words_of(command)[1] for _, command in COMMANDS}
    verbs = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    assert verbs - shown == set()


def test_command_1_builds_a_bundle(readme_build: Build) -> None:
    assert readme_build.status == 0, readme_build.talk
    results = next((readme_build.folder / "builds").iterdir())
    assert {"report.json", "report.md", "plan.json", "bundle"} <= {path.name for path in results.iterdir()}


def test_the_report_of_command_1_is_what_its_schema_publishes(readme_build: Build) -> None:
    report = json.loads(next(readme_build.folder.glob("builds/*/report.json")).read_text(encoding="utf-8"))
    schema("report").validate(report)
    assert report["build"]["device"] == "jetson-orin-nano"
    assert report["build"]["device_attached"] is False
    assert report["choice"]["state"] == "provisional"
    assert report["choice"]["settle_command"]
    assert report["unexecuted"]
    assert {name: each for name, each in report["outcomes"].items() if each["outcome"] == "failed"} == {}


def test_the_settling_command_of_command_1_benches_what_it_built(readme_build: Build) -> None:
    results = next((readme_build.folder / "builds").iterdir())
    choice = json.loads((results / "report.json").read_text(encoding="utf-8"))["choice"]
    verb, folder, host = re.fullmatch(r"edgecnn (\w+) (\S+) --host (\S+)", choice["settle_command"]).groups()  # type: ignore[union-attr]
    assert (verb, host) == ("bench", "USER@jetson-orin-nano")
    assert (readme_build.folder / folder).samefile(results)


def test_command_1_explains_that_its_choice_is_provisional_and_what_settles_it(readme_build: Build) -> None:
    (results,) = readme_build.folder.glob("builds/*/")
    report = json.loads((results / "report.json").read_text(encoding="utf-8"))
    done = readme_build.again(["explain", str(results)])
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    first = f"{report['build']['arch']} on jetson-orin-nano: tensorrt-fp16 is chosen; the choice is PROVISIONAL; verdict "
    assert lines[0].startswith(first)
    assert lines[1] == f"  {report['choice']['why']}"
    assert "tensorrt-fp16 is used until a race on the device decides" in lines[1]
    assert lines[2] == f"  to settle it: {report['choice']['settle_command']}"
    assert all(f"  {row['reason']}" in lines for row in report["candidates"] if not row["chosen"])
    emulated = "emulated: the accuracy is that of a twin that rounds to fp16, in ONNX Runtime"
    engines = [row for row in report["candidates"] if row["candidate"]["needs_engine"]]
    assert len(engines) >= 2
    assert sum(emulated in line for line in lines) == len(engines)


def test_every_kit_of_command_1_is_whole_and_satisfies_the_schema(readme_build: Build) -> None:
    kits = sorted(readme_build.folder.glob("builds/*/bundle/kits/*"))
    assert kits
    for kit in kits:
        manifest = json.loads((kit / "kit.json").read_text(encoding="utf-8"))
        schema("kit").validate(manifest)
        files = {path.relative_to(kit).as_posix(): path for path in kit.rglob("*") if path.is_file()}
        digests = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items() if name != "kit.json"}
        assert digests == {name: fact["sha256"] for name, fact in manifest["files"].items()}


def test_the_bundle_of_command_1_is_whole_and_says_of_itself_what_it_is(readme_build: Build) -> None:
    (results,) = readme_build.folder.glob("builds/*/")
    done = readme_build.again(["bundle", "verify", str(results), "--made-here"])
    assert done.returncode == 0, done.stderr
    assert "tensorrt-fp16 is chosen" in done.stdout
    page = (results / "bundle" / "README.md").read_text(encoding="utf-8")
    assert "provisionally: it was not measured on the device yet" in page
    assert "emulated on a stand-in on" in page
    if readme_build.is_whole:
        assert "Fashion-MNIST, MIT." in (results / "bundle" / "LICENCES.md").read_text(encoding="utf-8")


def test_command_1_again_makes_nothing_anew(readme_build: Build) -> None:
    before = {path: path.stat().st_mtime_ns for path in (readme_build.folder / "store" / "artifacts").rglob("*")}
    done = readme_build.again(readme_build.words)
    assert done.returncode == 0, done.stderr
    after = {path: path.stat().st_mtime_ns for path in (readme_build.folder / "store" / "artifacts").rglob("*") if path in before}
    dated = "record.json"  # its time of change is when the entry was last used, by which `store gc` goes
    made = {path for path in after if path.is_file() and path.name != dated and after[path] != before[path]}
    assert made == set()
    report = json.loads(next(readme_build.folder.glob("builds/*/report.json")).read_text(encoding="utf-8"))
    assert {outcome["outcome"] for outcome in report["outcomes"].values()} == {"cached"}


def test_command_2_is_what_ci_runs() -> None:
    command = next(line for line in shell_lines(ROOT / "README.md") if "pytest" in line)
    install, test = [part.strip() for part in command.partition("#")[0].split("&&")]
    assert (install, test) == ('pip install -e ".[all,test]"', "pytest -n 2 --dist loadfile")
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert 'pip install -e ".[all,test]"' in script
    assert f"python -m {test} " in script


def test_the_device_file_that_the_how_to_shows_is_a_device(tmp_path: Path) -> None:
    from edgecnn.devices.files import load_device_file

    page = (ROOT / "docs/howto/add-a-device.md").read_text(encoding="utf-8")
    shown = re.search(r"^```toml\n(# board\.toml.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    assert shown is not None
    path = tmp_path / "board.toml"
    path.write_text(shown.group(1), encoding="utf-8")
    assert load_device_file(path).name == "kitchen-board"


def test_the_readme_names_every_shipped_device_and_pipeline() -> None:
    shipped = [path.stem for name in ("devices", "pipelines") for path in resource_folder(name).glob("*.toml")]  # type: ignore[arg-type]
    assert [name for name in shipped if f"`{name}`" not in README] == []


def test_every_link_of_a_document_leads_to_a_file_that_is_there() -> None:
    broken = []
    for path in documents():
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text(encoding="utf-8")):
            if not (path.parent / target).exists():
                broken.append(f"{path.relative_to(ROOT)}: {target}")
    assert broken == []
