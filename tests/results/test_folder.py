"""Writing into a build's folder: what the disk does not take is said of the folder, and other failures stay what they are."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from edgecnn.errors.base import EdgecnnError
from edgecnn.errors.building import NO_REPORT, OUTPUT_UNWRITABLE
from edgecnn.results.finished import finished_build
from edgecnn.results.folder import REPORT, builds_near, output_lock, read_report
from edgecnn.results.shipped import shipped_kit
from tests.store.small_disks import needs_mount, said_on


def failing(folder: Path, error: OSError) -> None:
    with output_lock(folder):
        raise error


def test_a_disk_that_does_not_take_the_results_names_their_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    below = OSError(errno.EROFS, "Read-only file system", str(out / "bundle"))
    copied = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "store" / "a"), None, str(out / "a"))
    for error in (below, copied, OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EIO, "Input/output error")):
        with pytest.raises(EdgecnnError, check=OUTPUT_UNWRITABLE.made) as refused:
            failing(out, error)
        assert refused.value.line().startswith(f"{out} cannot be written")


WITH_A_TEMPORARY_FILE = """
import json, sys, tempfile
from pathlib import Path
from edgecnn.errors.base import EdgecnnError
from edgecnn.results.folder import output_lock
from tests.store.small_disks import needs_mount, said_on

try:
    with output_lock(Path(sys.argv[1]) / "out"):
        with tempfile.TemporaryFile() as file:
            file.write(bytes(8 << 20))
except EdgecnnError as error:
    print(json.dumps(error.line()))
"""


@needs_mount
def test_a_temporary_folder_that_is_full_is_named_itself(tmp_path: Path) -> None:
    for name in ("results", "tmp"):
        (tmp_path / name).mkdir()
    disks = {tmp_path / "results": "8m", tmp_path / "tmp": "4m"}
    line = said_on(disks, WITH_A_TEMPORARY_FILE, str(tmp_path / "results"), TMPDIR=str(tmp_path / "tmp"))
    assert "[temporary-folder-full]" in line


WITHOUT_AN_ERRNO = """
import json, sys
from pathlib import Path
import numpy as np
from edgecnn.errors.building import OUTPUT_UNWRITABLE
from edgecnn.results.folder import output_lock

said = []
for size in (8 << 20, 1):
    try:
        with output_lock(Path(sys.argv[1])):
            np.save(Path(sys.argv[1]) / "a.npy", np.zeros(size, np.uint8))
            raise RuntimeError("a fault")
    except Exception as error:
        said.append("OUTPUT_UNWRITABLE" if OUTPUT_UNWRITABLE.made(error) else type(error).__name__)
print(json.dumps(said))
"""


@needs_mount
def test_a_library_that_gives_no_errno_is_believed_where_the_disk_takes_nothing(tmp_path: Path) -> None:
    assert said_on({tmp_path: "4m"}, WITHOUT_AN_ERRNO, str(tmp_path)) == ["OUTPUT_UNWRITABLE", "RuntimeError"]


def test_what_cannot_be_read_elsewhere_and_a_closed_stream_are_no_fault_of_the_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), output_lock(tmp_path / "out"):
        (tmp_path / "store" / "gone").read_bytes()
    with pytest.raises(BrokenPipeError):
        failing(tmp_path / "out", BrokenPipeError(errno.EPIPE, "Broken pipe"))


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EdgecnnError, check=OUTPUT_UNWRITABLE.made), output_lock(tmp_path / "file" / "out"):
        shutil.rmtree(tmp_path)


def test_a_folder_that_is_not_a_build_is_answered_with_the_nearest_builds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mobilenet-v2-cpu", "resnet-18-cpu", "unfinished"):
        (tmp_path / "builds" / name).mkdir(parents=True)
    assert builds_near(Path("builds/nope")) == []
    for name in ("mobilenet-v2-cpu", "resnet-18-cpu"):
        (tmp_path / "builds" / name / REPORT).touch()
    assert builds_near(Path("builds/resnet-18")) == [Path("builds/resnet-18-cpu"), Path("builds/mobilenet-v2-cpu")]
    assert len(builds_near(Path("nope/at/all"))) == 2, "else those in builds/"
    with pytest.raises(EdgecnnError, check=NO_REPORT.made) as refused:
        read_report(Path("builds/resnet-18"))
    assert "builds/resnet-18-cpu" in str(refused.value.hint)
    for raised, ref in ((finished_build, "no-build-to-judge"), (shipped_kit, "no-build-to-compare")):
        with pytest.raises(EdgecnnError) as caught:
            raised(Path("builds/resnet-18"))
        assert (caught.value.ref, caught.value.because) == (ref, "the folder does not exist")
        assert "builds/resnet-18-cpu" in str(caught.value.hint)
