"""Records that builds keep, share and send: profiles, latency tables, baselines, sweep states, lists of a remote store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from random import Random

import onnx

from edgecnn.comparing.baseline_file import energy_figures_of, figures_of, race_profile, read_baseline
from edgecnn.data.model_metadata import KEYS, names_in_metadata
from edgecnn.fit.predictor import count_cost
from edgecnn.fit.prices import prices_from_table, read_table_file
from edgecnn.judging.latency import latency
from edgecnn.runner.messages import RunnerError
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.store.entry import Damage
from edgecnn.store.profiles import FACTS, PROFILE, read_profile
from edgecnn.store.remote import ENTRIES, Remote, RemoteEntry
from edgecnn.sweeps.file import cells_of, read_sweep
from edgecnn.sweeps.fleet import fleet_report
from edgecnn.sweeps.state import STATE, CellOutcome, SweepState, read_state
from edgecnn.values.artifact import FileFact
from edgecnn.values.fit import LEAST_TIMED, LatencyTable, Probe, TimedProbe
from edgecnn.values.recipe import GateChoice
from edgecnn.values.report import LatencyBaseline, Origin, ShippedKitFacts, sealed_digest
from edgecnn.values.verdict import Fidelity
from tests.fuzz.kind import Kind
from tests.fuzz.mutations import TEXTS, of_bytes, of_json, of_message
from tests.graph.custom_files import classifier
from tests.judging.made import a_candidate, a_race

_ENTRY = f"artifacts/train/{'a' * 64}"
_SWEEP = '[grid]\nmodel.arch = ["lenet-5"]\ntarget.device = ["cpu"]\n'
_CELL = "lenet-5-cpu"
_LOGITS = "logits.npy"
_NAMES = (
    "{0: 'dog', 1: 'cat', 2: 'sea lion'}",
    "dog\ncat\nsea lion",
    '["dog", "cat"]',
    '{"0": "dog", "2": "sea lion", "1": "cat"}',
)
_LITERALS = ("[1]", "{1}", "{}", "b'a'", "1e999", "-1", "2**9", "...", "None", "()", "{0: 1}", "'\\ud800'", "(" * 300, "9" * 5000)


def _is_refused(why: str | None) -> None:
    if why is not None:
        raise RunnerError("record-refused", why)


def _profile_seeds(_: Path) -> Sequence[bytes]:
    """Both records of a profile in one document, so that either is changed."""
    race = json.loads(a_race([1.0] * 8).model_dump_json(by_alias=True))
    logits = FileFact(sha256=hashlib.sha256(b"").hexdigest(), bytes=0).model_dump()
    return [json.dumps({PROFILE: {**race, "logits_file": _LOGITS}, FACTS: {"files": {_LOGITS: logits}}}).encode()]


def _other_profile(content: bytes, draw: Random) -> bytes:
    """In one file of three a listed name is another."""
    if draw.randrange(3):
        return of_json(content, draw)
    records = json.loads(content)
    records[FACTS]["files"][draw.choice(TEXTS)] = records[FACTS]["files"].pop(_LOGITS)
    return json.dumps(records).encode()


def _profile(path: Path) -> object:
    """The list vouches for the profile, since a remote store is filled by somebody else; then as a build reads it."""
    content, listed = path.read_bytes(), dict[str, object]()
    try:
        records = json.loads(content)
        content, listed = json.dumps(records[PROFILE]).encode(), {**records[FACTS]["files"]}
    except (ValueError, LookupError, TypeError, RecursionError):  # changed beyond two records
        pass
    listed[PROFILE] = FileFact(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content)).model_dump()
    path.write_bytes(content)
    (path.parent / _LOGITS).touch()
    (path.parent / FACTS).write_text(json.dumps({"files": listed}), encoding="utf-8")
    found = read_profile(path.parent)
    if found is None or isinstance(found, Damage):
        return _is_refused(found and found.why)
    return found.profile.moment, latency(found.profile)


def _table_seeds(_: Path) -> Sequence[bytes]:
    probes = [Probe(arch="mobilenet-v2", resolution_px=ImageSize.square(32 + 16 * at), classes=10) for at in range(LEAST_TIMED)]
    timed = [
        TimedProbe(probe=probe, macs=count_cost(probe).macs, medians_ms=(0.5 + 0.1 * at, 0.6 + 0.1 * at))
        for at, probe in enumerate(probes)
    ]
    table = LatencyTable(
        version="0.1.0",
        device="cpu",
        machine="AMD EPYC",
        fidelity=Fidelity.MEASURED,
        environment=a_race([1.0]).environment,
        runtimes={"onnxruntime": "1.31.1"},
        observed_at="2026-11-01T00:00:00+00:00",
        seconds=60.0,
        timed={"onnxruntime-fp32": tuple(timed)},
    )
    return [table.model_dump_json(by_alias=True).encode()]


def _table(path: Path) -> object:
    table = read_table_file(path)
    prices = prices_from_table(path, table, table.timed)
    asked = Probe(arch="mobilenet-v2", resolution_px=ImageSize.square(40), classes=10)
    return [predictor.predict([asked]) for predictor in prices.predictors.values()]


def _name_seeds(_: Path) -> Sequence[bytes]:
    made = []
    for key, text in zip(KEYS, _NAMES, strict=False):
        model = classifier()
        onnx.helper.set_model_props(model, {"author": "somebody", key: text})
        made.append(model.SerializeToString())
    return made


def _other_names(content: bytes, draw: Random) -> bytes:
    """Another text of the same names in one file of two; in the others anything else of it is changed."""
    model = onnx.ModelProto()
    if draw.randrange(2):
        return of_message(onnx.ModelProto)(content, draw)
    model.ParseFromString(content)
    for entry in model.metadata_props:
        at = draw.randrange(len(entry.value) + 1)
        put = entry.value[:at] + draw.choice(_LITERALS) + entry.value[at + draw.randrange(4) :]
        entry.value = put if draw.randrange(2) else of_bytes(entry.value.encode(), draw).decode("utf-8", "replace")
    return model.SerializeToString()


def _names(path: Path) -> object:
    names = names_in_metadata(path)
    _is_refused(None if names else "it names no classes")
    return names


def _baseline_seeds(_: Path) -> Sequence[bytes]:
    race = a_race([1.0] * 8)
    shipped = ShippedKitFacts(name="a", candidate=a_candidate("onnxruntime-fp32"), kit="1" * 64)
    made = LatencyBaseline(
        version="0.1.0",
        shipped=shipped,
        machine="AMD EPYC",
        environment=race.environment,
        observed_at=race.observed_at,
        runs=race.runs,
        energy_runs=race.runs,
        origin=Origin(kit={"runtime": "onnxruntime"}),
    )
    return [made.model_dump_json(by_alias=True).encode()]


def _baseline(path: Path) -> object:
    """With the digest that it has now: whoever edits a file can compute that too."""
    try:
        facts = json.loads(path.read_bytes())
        path.write_text(json.dumps({**facts, "sha256": sealed_digest(facts)}), encoding="utf-8")
    except Exception:  # noqa: BLE001 - no object, or nothing that has a digest
        return read_baseline(path)
    found = read_baseline(path)
    return figures_of(found), energy_figures_of(found), race_profile(found).moment


def _state_seeds(_: Path) -> Sequence[bytes]:
    ended = CellOutcome(
        name=_CELL, asked="1", exit_code=3, reported=False, error="no", seconds=1, ended_at="2026-11-26T10:00:00Z"
    )
    state = SweepState(
        sweep="sweep.toml", cells={_CELL: "1"}, tools={"onnx": "1"}, gates=GateChoice(max={"p99_ms": 20}), begun=("b",)
    )
    return [state.with_outcome(ended).model_dump_json(by_alias=True).encode()]


def _state(path: Path) -> object:
    sweep = path.parent / "sweep.toml"
    sweep.write_text(_SWEEP, encoding="utf-8")
    return fleet_report(cells_of(read_sweep(sweep)), {_CELL: "1"}, read_state(path.parent, sweep), path.parent)


def _list_seeds(_: Path) -> Sequence[bytes]:
    files = {name: FileFact(sha256=name[:1] * 64, bytes=3) for name in ("a.json", "b/c.onnx", "b/d.npy")}
    return [RemoteEntry(files=files).model_dump_json(by_alias=True).encode()]


def _entry(path: Path) -> object:
    """As a pull reads it: the list, and then those of its files that are there, into a folder."""
    place = path.parent / "remote" / ENTRIES / f"{_ENTRY}.json"
    place.parent.mkdir(parents=True)
    path.rename(place)
    remote = Remote(str(path.parent / "remote"))
    found = remote.entries(remote.lists())[_ENTRY]
    if isinstance(found, Damage):
        return _is_refused(found.why)
    return remote.download({path.parent / "work" / file: fact for file, fact in found.files.items()})


STORED: dict[str, Kind] = {
    "stored profile": Kind(PROFILE, _profile_seeds, _other_profile, _profile),
    "latency table": Kind("cpu.json", _table_seeds, of_json, _table),
    "names in onnx metadata": Kind("mine.onnx", _name_seeds, _other_names, _names),
    "latency baseline, sealed again": Kind("board.json", _baseline_seeds, of_json, _baseline),
    "sweep state": Kind(STATE, _state_seeds, of_json, _state),
    "list of a remote store": Kind("list.json", _list_seeds, of_json, _entry),
}
