"""IDX files, as MNIST has them, are images with roles; one that is damaged, lies or explodes is refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecnn.data.images import demo_digests, demo_images
from edgecnn.data.inspection import inspect
from edgecnn.data.manifest import summarize
from edgecnn.data.role_folders import write_role_folders
from edgecnn.errors.base import EdgecnnError, ErrorRow
from edgecnn.errors.data import (
    CLASS_NAMES_UNUSABLE,
    IDX_INCOMPLETE,
    IDX_UNUSABLE,
    LIST_WITHOUT_LABELS,
    ONE_CLASS,
)
from edgecnn.values.dataset import DataManifest, DataSummary
from edgecnn.values.recipe import DataChoice
from tests.data.folders import Heard, write

COUNTS = {"train": 200, "t10k": 100}
LABELS = [label for label, _ in demo_digests()]
NAMES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
HINT = IDX_UNUSABLE.fix


def header(*sizes: int, kind: int = 8) -> bytes:
    return bytes((0, 0, kind, len(sizes))) + b"".join(size.to_bytes(4, "big") for size in sizes)


def idx(folder: Path, part: str = "train", start: int = 0, end: str = "") -> Path:
    """Real pictures from the demo, in the two files of one part."""
    count = COUNTS[part]
    pixels = np.ascontiguousarray(demo_images()[start : start + count]).tobytes()
    labels = bytes(LABELS[start : start + count])
    for name, data in (
        (f"{part}-images-idx3-ubyte{end}", header(count, 28, 28) + pixels),
        (f"{part}-labels-idx1-ubyte{end}", header(count) + labels),
    ):
        write(folder / name, gzip.compress(data, 1) if end else data)
    return folder


@pytest.fixture
def clothes(tmp_path: Path) -> Path:
    return idx(idx(tmp_path / "clothes"), "t10k", COUNTS["train"])


def summary_of(path: Path, heard: Heard | None = None) -> DataSummary:
    return summarize(DataChoice(path=str(path)), path.parent / "store", heard or Heard())


def manifest_of(summary: DataSummary) -> DataManifest:
    return DataManifest.model_validate_json(Path(summary.manifest_path).read_bytes())


def refusal(folder: Path, row: ErrorRow = IDX_UNUSABLE) -> str:
    with pytest.raises(EdgecnnError, check=row.made) as caught:
        summary_of(folder)
    assert list((folder.parent / "store" / "archives").glob("*/*")) == []
    return caught.value.line()


@pytest.mark.parametrize("end", ["", ".gz"])
def test_train_files_train_and_t10k_files_report_and_pixels_are_those_of_the_files(tmp_path: Path, end: str) -> None:
    folder = idx(idx(tmp_path / "clothes", end=end), "t10k", 200, end)
    summary = summary_of(folder)
    assert (summary.classes, summary.root) == (tuple("0123456789"), str(folder))
    assert (sum(summary.counts.values()), summary.counts["test"]) == (300, 100)
    assert summary.splits_from.startswith("test/ (100); out of train/ by content: validation 31, ")
    manifest = manifest_of(summary)
    reported = {int(Path(image.path).stem): image for image in manifest.images if image.role == "test"}
    assert [reported[number].label for number in range(100)] == LABELS[200:300]
    for number in (0, 57, 99):
        shown = np.asarray(Image.open(Path(manifest.root, reported[number].path)))
        assert np.array_equal(shown, demo_images()[200 + number])


def test_other_spellings_of_the_file_names_are_the_same_data(clothes: Path, tmp_path: Path) -> None:
    first = summary_of(clothes)
    for part in COUNTS:
        for what in ("images-idx3", "labels-idx1"):
            (clothes / f"{part}-{what}-ubyte").rename(clothes / f"{part.replace('t10k', 'test')}-{what.replace('-', '.')}-ubyte")
    assert summary_of(clothes).content == first.content


def test_an_unpacked_file_goes_before_the_packed_one_beside_it(clothes: Path) -> None:
    write(clothes / "train-images-idx3-ubyte.gz", b"half a download")
    assert sum(summary_of(clothes).counts.values()) == 300


def test_without_t10k_files_all_roles_come_out_of_the_train_files(tmp_path: Path) -> None:
    summary = summary_of(idx(tmp_path / "clothes"))
    assert min(summary.counts.values()) > 0
    assert sum(summary.counts.values()) == 200
    assert summary.splits_from.startswith("by content, no split folders: ")


def test_names_beside_the_files_are_in_the_order_of_the_labels(clothes: Path) -> None:
    digits = summary_of(clothes)
    (clothes / "classes.txt").write_text("\n".join(NAMES) + "\n\n", encoding="utf-8-sig")
    named = summary_of(clothes)
    assert named.classes == NAMES
    assert [(image.label, image.role, image.sha256) for image in manifest_of(named).images] == [
        (image.label, image.role, image.sha256) for image in manifest_of(digits).images
    ]


def test_labels_may_leave_numbers_out(tmp_path: Path) -> None:
    folder = idx(tmp_path / "clothes")
    write(folder / "train-labels-idx1-ubyte", header(200) + bytes(17 if label < 5 else 200 for label in LABELS[:200]))
    assert summary_of(folder).classes == ("17", "200")


def test_they_become_files_once_and_again_after_a_change(clothes: Path) -> None:
    heard = Heard()
    first = summary_of(clothes, heard)
    assert ("reading train-images-idx3-ubyte", 200, 200, "images") in heard.steps
    heard = Heard()
    assert summary_of(clothes, heard) == first
    assert [step for step in heard.steps if step[0] != "reading images"] == []  # files made lately are looked at again
    images = clothes / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:-1] + b"\x07")
    assert summary_of(clothes).content != first.content


def test_they_can_be_inspected_and_divided(clothes: Path, tmp_path: Path) -> None:
    choice, store = DataChoice(path=str(clothes)), tmp_path / "store"
    facts = inspect(choice, store, Heard()).facts
    assert (facts.images, facts.root, facts.classes[7].name) == (300, str(clothes), "7")
    assert facts.classes[7].by_split == {"train": LABELS[:200].count(7), "test": LABELS[200:300].count(7)}
    assert write_role_folders(choice, tmp_path / "out", store, Heard()).images["test"] == 100
    again = summary_of(tmp_path / "out")
    assert (again.classes, again.counts) == (tuple("0123456789"), summary_of(clothes).counts)


def test_a_file_that_is_none_or_of_another_form_is_refused(clothes: Path) -> None:
    images, labels = clothes / "train-images-idx3-ubyte", clothes / "train-labels-idx1-ubyte"
    whole = images.read_bytes()
    body = whole[16:]
    faults = (
        (b"", "it begins with 0x00, not with 0x00000803"),
        (b"\x89PNG\r\n", "it begins with 0x89504e47, not with 0x00000803"),
        (header(200, 28, 28, kind=0x0D) + body, "its values are of type 0x0d, not bytes (0x08)"),
        (header(200 * 28, 28) + body, "it has 2 dimensions, but images have 3"),
        (header(200, 28, 28)[:9], "it ends inside its header"),
        (whole[:-1], "it ends before the 200 that its header states"),
        (whole + b"\0", "it continues after the 200 that its header states"),
        (header(0, 28, 28), "it has no image"),
        (header(200, 0, 28), "its images have 0 × 28 pixels"),
        (header(200, 1 << 20, 1 << 20), "its images have 1,048,576 × 1,048,576 pixels"),
    )
    for data, because in faults:
        images.write_bytes(data)
        labels.write_bytes(header(0) if because == "it has no image" else header(200) + bytes(LABELS[:200]))
        assert refusal(clothes) == f"{images} cannot be used as an IDX file: {because} — {HINT} [idx-unusable]"


def test_counts_that_disagree_and_labels_that_nothing_trains_are_refused(clothes: Path) -> None:
    labels = clothes / "train-labels-idx1-ubyte"
    start = f"{labels} cannot be used as an IDX file: "
    write(labels, header(199) + bytes(LABELS[:199]))
    assert refusal(clothes) == f"{start}it has 199 labels for the 200 images of train-images-idx3-ubyte — {HINT} [idx-unusable]"
    labels.write_bytes(header(200) + bytes(min(label, 8) for label in LABELS[:200]))
    with pytest.raises(EdgecnnError, check=IDX_UNUSABLE.made) as caught:
        summary_of(clothes)
    assert caught.value.because == "no training image has the label 9"
    labels.write_bytes(header(200) + bytes([0] * 200))
    (clothes / "t10k-labels-idx1-ubyte").write_bytes(header(100) + bytes([0] * 100))
    with pytest.raises(EdgecnnError, check=ONE_CLASS.made):
        summary_of(clothes)


def test_a_truncated_or_damaged_gzip_is_refused(tmp_path: Path) -> None:
    folder = idx(tmp_path / "clothes", end=".gz")
    images = folder / "train-images-idx3-ubyte.gz"
    whole = images.read_bytes()
    for data, because in (
        (whole[: len(whole) // 2], "compressed file ended before the end-of-stream marker was reached"),
        (header(200, 28, 28), "not a gzipped file (b'\\x00\\x00')"),
        (whole[:-8] + b"\0\0\0\0" + whole[-4:], "CRC check failed"),
    ):
        write(images, data)
        assert because.lower() in refusal(folder).lower()


def test_a_header_that_claims_more_than_could_be_packed_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    folder = idx(tmp_path / "clothes", end=".gz")
    images, labels = (folder / f"train-{what}-ubyte.gz" for what in ("images-idx3", "labels-idx1"))
    for count, side in ((4_000_000, 28), (6_000_000, 1)):
        write(images, gzip.compress(header(count, side, side)))
        write(labels, gzip.compress(header(count)))
        packed = images.stat().st_size
        claims = (
            f"it claims {count * side * side:,} bytes in {packed}, more than 100 times"
            if side > 1
            else "it claims 6,000,000 images, more than 5,000,000"
        )
        assert refusal(folder) == f"{images} cannot be used as an IDX file: {claims} — {HINT} [idx-unusable]"


def test_a_file_that_belongs_to_another_and_is_not_there_is_named(clothes: Path) -> None:
    (clothes / "t10k-labels-idx1-ubyte").unlink()
    assert "[idx-incomplete]" in refusal(clothes, IDX_INCOMPLETE)
    (clothes / "train-images-idx3-ubyte").unlink()
    assert "has train-labels-idx1-ubyte but no train-images-idx3-ubyte" in refusal(clothes, IDX_INCOMPLETE)
    (clothes / "train-labels-idx1-ubyte").unlink()
    write(clothes / "t10k-labels-idx1-ubyte", header(100))
    assert "has t10k-images-idx3-ubyte but no train-images-idx3-ubyte" in refusal(clothes, IDX_INCOMPLETE)


def test_names_that_name_too_few_twice_or_nothing_are_refused(clothes: Path) -> None:
    file = clothes / "classes.txt"
    hint = "write one class name on each line, in the order of the labels"
    for data, because in (
        ("\n".join(NAMES[:9]).encode(), "it has 9 names, but there is a label 9"),
        (b"Bag\nCoat\nBag", "lines 1 and 3 are both 'Bag'"),
        (b"Bag\n\nCoat", "line 2 is empty"),
        (b"Bag\nCo\x1bat", "line 2, 'Co\\x1bat', contains a control character"),
        ("Gewänder".encode("latin-1"), "it is in another encoding than UTF-8, probably Windows-1252; save it as UTF-8"),
    ):
        write(file, data)
        with pytest.raises(EdgecnnError, check=CLASS_NAMES_UNUSABLE.made) as caught:
            summary_of(clothes)
        line = caught.value.line()
        assert line == f"{file} cannot be used as a list of class names: {because} — {hint} [class-names-unusable]"


def test_two_test_parts_are_refused(clothes: Path) -> None:
    for kind in ("images-idx3", "labels-idx1"):
        (clothes / f"test-{kind}-ubyte").write_bytes(next(clothes.glob(f"t10k-{kind}-ubyte*")).read_bytes())
    assert "in the same folder is the same split; keep one of them" in refusal(clothes)


def test_labels_in_files_cannot_be_left_unused(clothes: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgecnnError, check=LIST_WITHOUT_LABELS.made):
        summarize(DataChoice(path=str(clothes), labels=False), tmp_path / "store", Heard())


def test_a_folder_of_class_folders_is_none(tmp_path: Path) -> None:
    (tmp_path / "clothes" / "train-images-idx3-ubyte").mkdir(parents=True)
    (tmp_path / "clothes" / "other").mkdir()
    with pytest.raises(EdgecnnError, match="too-few-images"):
        summary_of(tmp_path / "clothes")
