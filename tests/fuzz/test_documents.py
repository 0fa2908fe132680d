"""Whatever stands in a file that one machine wrote and another reads: a result or one error of ours, the code 70 never."""

from __future__ import annotations

import copy
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from edgecnn.bundle.manifest import MANIFEST
from edgecnn.cli import usage
from edgecnn.cli.main import app
from edgecnn.errors.base import ExitCode
from edgecnn.results.folder import PLAN, REPORT
from tests.building.explained import provisional_report, raced_report
from tests.building.resolutions import resolved
from tests.bundle.sealed import KIT, KIT_FOLDER, published
from tests.data.folders import fill
from tests.fuzz.mutations import places

JSONS = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**20), 10**20),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(["", "../../x", "/etc/passwd", "\x00", "0" * 64, "x" * 3000, "edgecnn.report/3"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=4,
)
RAW = st.sampled_from([b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"a": 1e999}', b"1" * 5000])


@st.composite
def damaged(draw: st.DrawFn, whole: Any) -> bytes:
    """A right document with a slip or three, or no document at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(RAW)
    found = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, 3))):
        ways = list(places(found))
        if not ways:
            break
        holder, last = draw(st.sampled_from(ways))
        kind = draw(st.sampled_from(["other", "gone", "like"]))
        if kind == "gone":
            del holder[last]
        elif kind == "like":  # of the right type, and out of all bounds
            holder[last] = draw(st.sampled_from(LIKE[type(holder[last])]))
        else:
            holder[last] = draw(JSONS)
    return json.dumps(found).encode("utf-8", errors="surrogatepass")


LIKE: dict[type, list[Any]] = {
    str: ["", "\ud800", "../..", "a\nb", "\x1b[31m", "-"],
    int: [0, -1, 10**30],
    float: [0.0, -1.0, 1e308, float("nan"), float("inf")],
    bool: [True, False],
    type(None): [0, ""],
    list: [[]],
    dict: [{}],
}


def ends_well(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str | Path) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("sys.argv", ["edgecnn", *map(str, words)])
        status = usage.run(app)
    said = capsys.readouterr()
    assert status in set(ExitCode) - {ExitCode.OWN_FAULT}, said.err
    assert "Traceback" not in said.err
    assert status is ExitCode.OK or said.err or said.out


FUZZ = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
REPORTS = st.sampled_from([raced_report(), provisional_report()]).map(
    lambda report: json.loads(report.model_dump_json(by_alias=True))
)


@pytest.fixture(autouse=True)
def _somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)


@FUZZ
@given(
    verb=st.sampled_from(["explain", "report", "compare", "study history", "list archs --build", "judge"]),
    found=REPORTS.flatmap(damaged),
)
def test_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verb: str, found: bytes
) -> None:
    folder, other = tmp_path / "build", tmp_path / "other"
    for each in (folder, other):
        each.mkdir(exist_ok=True)
    (folder / REPORT).write_bytes(found)
    (other / REPORT).write_text(raced_report().model_dump_json(by_alias=True))
    ends_well(monkeypatch, capsys, *verb.split(), folder, *([other] if verb == "compare" else []))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build's folder as far as its files say: report, plan and bundle, with nothing in the store."""
    folder = tmp_path_factory.mktemp("builds") / "flowers"
    published(folder)
    report = json.loads(raced_report().model_dump_json(by_alias=True))
    (row,) = [row for row in report["candidates"] if row["candidate"]["id"] == KIT]
    row["kit"] = hashlib.sha256((folder / "bundle" / KIT_FOLDER / "kit.json").read_bytes()).hexdigest()
    (folder / REPORT).write_text(json.dumps(report))
    (folder / PLAN).write_text(json.dumps({"resolved": resolved().model_dump(mode="json"), "steps": []}))
    return folder


JUDGING = (
    "judge {0} --max size_mib=1",
    "judge {0} --against {0}",
    "bench {0} --host=-x",
    "pin {0}",
    "baseline record {0} --out x.json",
)
OPENING = (
    "verify {0}",
    "predict {0} {0}/bundle/" + KIT_FOLDER + "/golden/card.png",
    "bundle zip {0} --out x.zip",
    "verify {0}/bundle",
)
FILES = (REPORT, PLAN, f"bundle/{MANIFEST}", "bundle/choice.json", f"bundle/{KIT_FOLDER}/kit.json")


@pytest.mark.slow  # some hundred command lines
@FUZZ
@given(data=st.data())
def test_a_file_of_a_finished_build(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], data: st.DataObject
) -> None:
    file = finished / data.draw(st.sampled_from(FILES))
    whole = file.read_bytes()
    call = data.draw(st.sampled_from((*JUDGING, *OPENING)))
    file.write_bytes(data.draw(damaged(json.loads(whole))))
    try:
        ends_well(monkeypatch, capsys, *call.format(finished).split())
    finally:
        file.write_bytes(whole)


CELLS = st.one_of(st.text(max_size=10), st.sampled_from(["cat/000.png", "dog/001.png", "/etc/passwd", "../x.png", "cat", "test"]))
COLUMNS = st.lists(st.sampled_from(["path", "label", "split", "path", "", "Path", "x"]), min_size=1, max_size=4)


@st.composite
def table(draw: st.DrawFn) -> tuple[str, bytes]:
    """A list of images in each of its formats, right or not."""
    columns = draw(st.one_of(st.just(["path", "label"]), st.just(["path", "label", "split"]), COLUMNS))
    rows = draw(st.lists(st.lists(CELLS, min_size=len(columns), max_size=len(columns)), max_size=6))
    if draw(st.booleans()):
        lines = [",".join(row) for row in (columns, *rows)]
        return "list.csv", "\n".join(lines).encode("utf-8", errors="surrogatepass")
    names = [f"{name}{number}" if name in columns[:number] else name for number, name in enumerate(columns)]
    kind = draw(st.sampled_from([pyarrow.string(), pyarrow.binary(), pyarrow.list_(pyarrow.string())]))
    texts = [[each.encode("utf-8", errors="replace") for each in column] for column in zip(*rows, strict=True)]
    cells = [[[each.decode()] if pyarrow.types.is_list(kind) else each for each in column] for column in texts]
    held = pyarrow.table({name: pyarrow.array(column, type=kind) for name, column in zip(names, cells, strict=False)})
    stream = io.BytesIO()
    pyarrow.parquet.write_table(held, stream)
    content = stream.getvalue()
    cut = draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    return "list.parquet", content[:cut]


@FUZZ
@given(verb=st.sampled_from(["data inspect", "plan --arch resnet-18 --target cpu --data"]), found=table())
@example(verb="data inspect", found=("list.csv", b'path,label\n"cat/000.png,cat\n' + b"x" * 200_000))
@example(verb="data inspect", found=("list.csv", b"path,label\ncat/\x00.png,cat\n"))
def test_a_list_of_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verb: str, found: tuple[str, bytes]
) -> None:
    if not (tmp_path / "cat").exists():
        fill(tmp_path, {"cat": 2, "dog": 2})
    name, content = found
    (tmp_path / name).write_bytes(content)
    ends_well(monkeypatch, capsys, *verb.split(), name)
