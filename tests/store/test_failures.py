"""Full disks, read-only disks and foreign folders, all real: small file systems mounted in a private namespace."""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from edgecnn.errors.bundle import NO_PHOTOS
from edgecnn.errors.store import StoreFull, StoreUnusable, TemporaryFolderFull
from edgecnn.render.progress import Quiet
from edgecnn.store.failures import failure_of_maker, refusal_of_disk
from edgecnn.store.store import Store
from edgecnn.values.stage import Progress, Role
from tests.store.small_disks import needs_mount, said_on
from tests.store.toys import Quantize, Train, obtain

ON_A_SMALL_DISK = """
import json, sys
from pathlib import Path
from edgecnn.errors.store import StoreFull, StoreUnusable
from edgecnn.store.store import Store
from edgecnn.store.listing import verify
from tests.store.toys import Ear, Quantize, Train, obtain

root, way = Path(sys.argv[1]), sys.argv[2]
store = Store.open(root)
obtain(store, Quantize())

def big(given, out, tell):
    try:
        with (out / "big.bin").open("wb") as file:
            for _ in range(64):
                file.write(bytes(1 << 20))
                file.flush()
    except OSError:
        if way == "as OSError":
            raise
        raise RuntimeError("a C++ library could not write") if way == "as RuntimeError" else None

try:
    obtain(store, Quantize(images=1), maker=big)
except StoreFull as error:
    line = error.line()
else:
    line = ""
report = verify(store, Ear())
print(json.dumps({
    "line": line, "whole": report.ok, "entries": report.artifacts,
    "work": [str(path) for path in (root / "work").rglob("*") if path.is_file()],
    "after": obtain(store, Quantize(images=2))[1].outcome,
}))
"""


@needs_mount
@pytest.mark.parametrize("way", ["as OSError", "as RuntimeError"])
def test_a_full_disk_is_one_line_and_leaves_the_store_whole(tmp_path: Path, way: str) -> None:
    said = said_on({tmp_path: "4m"}, ON_A_SMALL_DISK, str(tmp_path / "store"), way)
    assert "[store-full]" in said["line"]
    assert (said["whole"], said["entries"], said["work"], said["after"]) == (True, 1, [], "ran")


WITH_TEMPORARY_FILES = """
import json, shutil, sys, tempfile
from pathlib import Path
from edgecnn.errors.base import EdgecnnError
from edgecnn.store.store import Store
from tests.store.toys import Quantize, obtain

root, way = Path(sys.argv[1]), sys.argv[2]

def fills(folder):
    with (folder / "big.bin").open("wb") as file:
        for _ in range(64):
            file.write(bytes(1 << 20))
            file.flush()

def maker(given, out, tell):
    if way == "into the store":
        fills(out)
    if way == "and tidies up":
        with tempfile.TemporaryDirectory() as folder:
            fills(Path(folder))
    try:
        fills(Path(tempfile.mkdtemp()))
    except OSError:
        if way == "and leaves it":
            raise
    raise RuntimeError("a C++ library could not write")

try:
    obtain(Store.open(root), Quantize(), maker=maker)
except EdgecnnError as error:
    folder = error.fields.get("root") or error.fields["folder"]
    print(json.dumps([error.ref, folder.name, error.fields["free_bytes"] >> 20]))
"""


@needs_mount
@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("and leaves it", ("temporary-folder-full", "tmp", 0)),
        ("and tidies up", ("temporary-folder-full", "tmp", 4)),
        ("as a C++ library", ("temporary-folder-full", "tmp", 0)),
        ("into the store", ("store-full", "store", 0)),
    ],
)
def test_of_two_disks_the_one_is_named_that_is_full(way: str, said: tuple[str, str, int], tmp_path: Path) -> None:
    """A write() to an open file names no file, so that it is not told where it was."""
    for name in ("store", "tmp"):
        (tmp_path / name).mkdir()
    disks = {tmp_path / "store": "8m", tmp_path / "tmp": "4m"}
    assert said_on(disks, WITH_TEMPORARY_FILES, str(tmp_path / "store"), way, TMPDIR=str(tmp_path / "tmp")) == list(said)


def test_a_temporary_file_that_finds_no_room_names_its_folder(
    store: Store, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    named = failure_of_maker(OSError(errno.ENOSPC, "No space left on device", str(folder / "x")), store.root, "making")
    assert isinstance(named, TemporaryFolderFull)
    copied = OSError(errno.ENOSPC, "No space left on device", str(folder / "x"), None, str(store.root / "work" / "x"))
    assert isinstance(failure_of_maker(copied, store.root, "making"), StoreFull)
    assert isinstance(failure_of_maker(OSError(errno.EFBIG, "File too large"), store.root, "making"), StoreFull)


BESIDE_ITS_PARTIAL_FILE = """
import json, sys
from pathlib import Path
from edgecnn.store.failures import prefer_system_error

file, written, size = Path(sys.argv[1]) / "model.bin", int(sys.argv[2]) << 20, int(sys.argv[3]) << 20
try:
    with prefer_system_error(file, size):
        file.write_bytes(bytes(written))
        raise RuntimeError("a fault of the library")
except Exception as error:
    print(json.dumps(type(error).__name__))
"""


LIBRARIES = """
import json, sys, tempfile
from pathlib import Path
import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from edgecnn.runtimes.separate_process import logits_separately, run_separately
from edgecnn.runtimes.openvino import convert_trunk, save_ir
from edgecnn.errors.base import EdgecnnError
from edgecnn.graph.export import save_program
from edgecnn.runner.pixel_recipe import ImageSize
from edgecnn.store.store import Store
from edgecnn.training.checkpoint import write_tensors
from tests.store.toys import Quantize, obtain

store, elsewhere = Store.open(Path(sys.argv[1])), Path(sys.argv[2])
big = np.zeros((2000, 2000), np.float32)
linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 2000))

def network():
    shapes = (helper.make_tensor_value_info(name, 1, [1, 2000]) for name in "xy")
    node, weights = helper.make_node("Gemm", ["x", "w"], ["y"]), numpy_helper.from_array(big, "w")
    graph = helper.make_graph([node], "g", *([each] for each in shapes), [weights])
    file = elsewhere / "gemm.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), file)
    return convert_trunk(file)

def cut_off(out):
    program = elsewhere / "program.py"
    program.write_text("import sys\\nfile = open(sys.argv[1], 'wb', buffering=0)\\nwhile file.write(bytes(4096)) == 4096: 0")
    run_separately("ncnn", [str(program), str(out / "model.bin")], out / "model.bin", "ncnn-fp32")

makers = {
    "safetensors": lambda out: write_tensors({"w": torch.zeros(2000, 2000)}, out / "w.safetensors"),
    "openvino": lambda out: save_ir(network(), out / "model.xml"),
    "numpy": lambda out: np.save(out / "logits.npy", big),
    "numpy in a temporary folder": lambda out: logits_separately("ncnn", [], np.zeros((8, 3, 1000, 1000), np.float32), "a"),
    "torch.export": lambda out: save_program(linear, ImageSize.square(32), out / "program.pt2"),
    "a converter that ends well": cut_off,
}
said = {}
for number, (name, maker) in enumerate(makers.items()):
    try:
        obtain(store, Quantize(images=number + 1), maker=lambda given, out, tell: maker(out))
    except EdgecnnError as error:
        said[name] = error.ref
    except Exception as error:
        said[name] = repr(error)
print(json.dumps(said))
"""


@needs_mount
def test_a_full_disk_is_no_fault_of_ours_whatever_library_wrote(tmp_path: Path) -> None:
    """safetensors and OpenVINO give no errno and remove what they wrote, torch aborts, and pnnx ends as if all were well."""
    for name in ("store", "tmp", "elsewhere"):
        (tmp_path / name).mkdir()
    disks = {tmp_path / "store": "8m", tmp_path / "tmp": "8m"}
    words = [str(tmp_path / "store"), str(tmp_path / "elsewhere")]
    said = said_on(disks, LIBRARIES, *words, TMPDIR=str(tmp_path / "tmp"))
    temporary = said.pop("numpy in a temporary folder")
    assert temporary == "temporary-folder-full" and set(said.values()) == {"store-full"} and len(said) == 5, said


READ_ONLY = """
import json, subprocess, sys
from pathlib import Path
from edgecnn.errors.store import StoreUnusable
from edgecnn.store.store import Store
from tests.store.toys import Quantize, obtain

place = Path(sys.argv[1])
obtain(Store.open(place / "store"), Quantize())
subprocess.run(["mount", "-o", "remount,ro", place], check=True)
store = Store.open(place / "store")
said = {"cached": obtain(store, Quantize())[1].outcome}
try:
    obtain(store, Quantize(images=1))
except StoreUnusable as error:
    said["line"] = error.line()
print(json.dumps(said))
"""


@needs_mount
def test_a_read_only_store_serves_what_it_has_and_says_why_it_cannot_take_more(tmp_path: Path) -> None:
    said = said_on({tmp_path: "64m"}, READ_ONLY, str(tmp_path))
    assert said["cached"] == "cached"
    assert said["line"].startswith(f"the store {tmp_path}/store cannot be used: read-only file system: {tmp_path}/store/locks/")
    assert said["line"].endswith(" — set EDGECNN_STORE=FOLDER to a folder that you can read and write [store-unusable]")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, which pytest's own is not."""
    folder = Path(tempfile.mkdtemp(prefix="edgecnn-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def as_nobody(act: Callable[[], str]) -> str:
    """Run in a child without root's power to ignore permissions."""
    context = multiprocessing.get_context("fork")
    near, far = context.Pipe()

    def child() -> None:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
        except OSError:  # root of a container that maps no other user
            far.send(None)
        else:
            far.send(act())

    process = context.Process(target=child)
    process.start()
    assert near.poll(30)
    answer: str | None = near.recv()
    process.join()
    if answer is None:
        pytest.skip("this root cannot become another user")
    return answer


def line_of(act: Callable[[], object]) -> str:
    try:
        act()
    except StoreUnusable as error:
        return error.line()
    return "no error"


def test_another_users_store_can_be_read_but_not_added_to(open_folder: Path) -> None:
    root = open_folder / "store"
    made, _ = obtain(Store.open(root), Quantize())
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
        folder.chmod(0o555)
    assert as_nobody(lambda: obtain(Store.open(root), Quantize())[1].outcome) == "cached"
    assert as_nobody(lambda: line_of(lambda: obtain(Store.open(root), Quantize(images=1)))) == (
        f"the store {root} cannot be used: permission denied: "
        f"{root}/locks/quantize/{Quantize(images=1).key({'onnxruntime': '1.30'})}.lock"
        " — set EDGECNN_STORE=FOLDER to a folder that you can read and write [store-unusable]"
    )
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
        folder.chmod(0o755)


@pytest.mark.parametrize(("mode", "below"), [(0o000, ""), (0o555, "store")], ids=["unreadable", "cannot be made"])
def test_a_store_that_may_not_be_read_or_made_is_refused_when_it_is_opened(open_folder: Path, mode: int, below: str) -> None:
    closed = open_folder / "closed"
    closed.mkdir()
    closed.chmod(mode)
    assert as_nobody(lambda: line_of(lambda: Store.open(closed / below))) == (
        f"the store {closed / below} cannot be used: permission denied: {closed}"
        " — set EDGECNN_STORE=FOLDER to a folder that you can read and write [store-unusable]"
    )
    closed.chmod(0o755)


def test_a_makers_own_missing_file_is_not_called_the_stores_fault(store: Store) -> None:
    def reads_what_is_not_there(given: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        (out / "absent").read_bytes()

    with pytest.raises(FileNotFoundError):
        obtain(store, Quantize(), maker=reads_what_is_not_there)


def test_a_full_disk_elsewhere_is_the_makers_own(store: Store) -> None:
    elsewhere = OSError(28, "No space left on device", "/somewhere/else")
    assert failure_of_maker(elsewhere, store.root, "making") is None
    inside = OSError(28, "No space left on device", str(store.root / "work" / "x"))
    assert isinstance(failure_of_maker(inside, store.root, "making"), StoreFull)
    wrapped = ValueError("could not save")
    wrapped.__cause__ = inside
    assert isinstance(failure_of_maker(wrapped, store.root, "making"), StoreFull)


def test_a_maker_that_may_not_write_into_the_store_names_the_store(store: Store, tmp_path: Path) -> None:
    inside, outside = PermissionError(13, "Permission denied", str(store.root / "work")), PermissionError(13, "x", str(tmp_path))
    named = failure_of_maker(inside, store.root, "making")
    assert isinstance(named, StoreUnusable)
    assert named.because == f"permission denied: {store.root}/work"
    assert failure_of_maker(outside, store.root, "making") is None


def test_a_failing_disk_that_a_library_does_not_name_is_the_stores(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    unnamed = OSError("150528 requested and 0 written")  # ndarray.tofile, whatever the reason
    assert failure_of_maker(unnamed, store.root, "making") is None, "it was another disk's"
    assert isinstance(failure_of_maker(OSError(errno.EIO, "x"), store.root, "making"), StoreUnusable)

    def failing(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", failing)
    named = failure_of_maker(unnamed, store.root, "making")
    assert isinstance(named, StoreUnusable)
    assert named.because == "input/output error"
    assert failure_of_maker(NO_PHOTOS(folder=store.root), store.root, "making") is None, "a reason that is known stays"


@pytest.mark.parametrize(
    ("number", "refuses"), [("EINVAL", False), ("EOPNOTSUPP", False), ("ENOSYS", False), ("ENOSPC", True), ("EIO", True)]
)
def test_a_file_system_that_cannot_reserve_space_refuses_nothing(
    number: str, refuses: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reserve(handle: int, start: int, size: int) -> None:
        raise OSError(getattr(errno, number), number)

    monkeypatch.setattr(os, "posix_fallocate", reserve)
    refusal = refusal_of_disk(tmp_path, 1 << 20)
    assert (None if refusal is None else refusal.errno) == (getattr(errno, number) if refuses else None)


@needs_mount
@pytest.mark.parametrize(
    ("written_mib", "size_mib", "said"), [(5, 6, "RuntimeError"), (6, 6, "RuntimeError"), (0, 9, "OSError"), (5, 16, "OSError")]
)
def test_a_librarys_own_fault_next_to_its_partial_file_is_not_a_full_disk(
    written_mib: int, size_mib: int, said: str, tmp_path: Path
) -> None:
    """On a disk of 8 MiB: the bytes that the library wrote already are not asked for again."""
    assert said_on({tmp_path: "8m"}, BESIDE_ITS_PARTIAL_FILE, str(tmp_path), str(written_mib), str(size_mib)) == said


def test_work_in_the_store_that_its_disk_does_not_take_names_the_store(store: Store) -> None:
    with pytest.raises(StoreUnusable, match="cannot be used"), store.workspace("race", "a", Quiet()) as folder:
        raise OSError(errno.EIO, "Input/output error", str(folder / "rounds.json"))
    with pytest.raises(ZeroDivisionError), store.workspace("race", "a", Quiet()):
        raise ZeroDivisionError


def test_a_full_disk_keeps_work_that_can_be_resumed(store: Store) -> None:
    """Hours of training outlast a full disk; what was made of it is continued once there is space."""

    def full(given: Mapping[Role, Path], out: Path, tell: Progress) -> None:
        (out / "epoch-0.txt").write_text("epoch 0")
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreFull):
        obtain(store, Train(), maker=full)
    assert obtain(store, Train())[0].record.notes == ("epoch 0 was there",)
