"""What ``build-engine`` recorded is held against the engine before anything that it names is imported."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from edgecnn.runner import sessions
from edgecnn.runner.engines.record import read_record
from edgecnn.runner.kit import Kit
from edgecnn.runner.messages import RunnerError
from edgecnn.runner.sessions.tensorrt_gpu import open_session
from tests.runner.kits import make_kit, rewrite_manifest

PLAN = b"plan"


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """A kit of the GPU's session, of which nothing is opened here."""
    folder = make_kit(tmp_path_factory.mktemp("kits"))
    rewrite_manifest(folder, lambda facts: facts["session"].update(module="tensorrt_gpu", options={}))
    return Kit.open(folder)


def recorded(kit: Kit, **changed: Any) -> Path:
    """An engine with a record in which every hash is right."""
    engine = kit.folder / "build" / "engine.plan"
    engine.parent.mkdir(exist_ok=True)
    engine.write_bytes(PLAN)
    facts = {"file": engine.name, "sha256": hashlib.sha256(PLAN).hexdigest(), "built_for": {}}
    network = kit.manifest.files[kit.manifest.model.entry].sha256
    record = {"schema": "edgecnn.engine-build/1", "package": "tensorrt", "version": "10.3.0", "network_sha256": network}
    (engine.parent / "build.json").write_text(json.dumps({**record, "engines": [facts], **changed}))
    return engine


def refusal(kit: Kit, engine: Path) -> RunnerError:
    with pytest.raises(RunnerError) as caught:
        read_record(kit, engine)
    return caught.value


@pytest.mark.parametrize("package", ["tensorrt", "tensorrt_rtx_bindings"])
def test_a_record_that_fits_its_engine_and_its_kit_is_read(kit: Kit, package: str) -> None:
    assert read_record(kit, recorded(kit, package=package))["package"] == package


@pytest.mark.parametrize("package", ["stowaway", "os.path", "", None, ["tensorrt"]])
def test_a_record_imports_nothing_but_what_runs_engines(
    kit: Kit, package: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stowaway.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    refused = refusal(kit, recorded(kit, package=package))
    assert refused.ref == "engine-record-refused"
    with pytest.raises(RunnerError, match="not a record that build-engine wrote"):
        open_session(kit, {})
    assert "stowaway" not in sys.modules


@pytest.mark.parametrize("engine", ["/tmp/engine.plan", "../other/build/engine.plan", "build/../../x.plan", ""])
def test_an_engine_outside_the_kit_is_not_looked_for(kit: Kit, engine: str) -> None:
    with pytest.raises(RunnerError) as refused:
        session = kit.manifest.session._replace(options={"engine": engine})
        sessions.open_session(Kit(kit.folder, kit.sha256, kit.manifest._replace(session=session)))
    assert (refused.value.ref, refused.value.what) == ("outside-the-kit", f"session option engine = {engine!r} leaves the kit")


ENGINE = {"file": "engine.plan", "sha256": "0"}


@pytest.mark.parametrize(
    "changed, because",
    [
        ({"schema": "edgecnn.engine-build/2"}, "its schema is not edgecnn.engine-build/1"),
        ({"version": None}, "its version is no text"),
        ({"network_sha256": ["x"]}, "its network_sha256 is no text"),
        ({"engines": {"file": "engine.plan"}}, "its engines are no list"),
        ({"engines": ["engine.plan"]}, "an engine of it lacks file or sha256"),
        ({"engines": [{"file": "engine.plan"}]}, "an engine of it lacks file or sha256"),
        ({"engines": [{**ENGINE, "built_for": ["8.7"]}]}, "an engine of it lacks the GPU that it was built for"),
        ({"engines": [{**ENGINE, "built_for": {"capability": 8.7}}]}, "an engine of it lacks the GPU that it was built for"),
        ({"engines": [{**ENGINE, "built_for": {"models": "Orin"}}]}, "an engine of it lists no GPUs by name"),
    ],
)
def test_a_record_of_another_shape_is_refused_and_no_fault_of_the_runner(kit: Kit, changed: dict[str, Any], because: str) -> None:
    refused = refusal(kit, recorded(kit, **changed))
    assert (refused.ref, refused.because) == ("engine-record-refused", because)


@pytest.mark.parametrize("content", ["[]", "null", "3", '"text"', "{}"])
def test_what_is_no_record_at_all_is_refused(kit: Kit, content: str) -> None:
    engine = recorded(kit)
    (engine.parent / "build.json").write_text(content)
    refused = refusal(kit, engine)
    assert (refused.ref, refused.because) == ("engine-record-refused", "its schema is not edgecnn.engine-build/1")


def test_what_the_record_names_is_said(kit: Kit) -> None:
    refused = refusal(kit, recorded(kit, package="stowaway"))
    assert refused.facts() == {
        "ref": "engine-record-refused",
        "what": f"{kit.folder / 'build' / 'build.json'}: not a record that build-engine wrote",
        "because": "its package is 'stowaway', and engines are run by tensorrt or tensorrt_rtx_bindings",
        "hint": "python3 -m runner build-engine --out build, inside the kit",
        "missing": False,
    }
