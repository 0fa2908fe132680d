"""Faults of files that other tools leave are named: encodings, web pages, pages, cut JPEG files and marks of a class."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from edgecnn.data.class_names import names_in
from edgecnn.data.fingerprints import class_marks, fingerprint_of
from edgecnn.data.inspection import name_slips
from edgecnn.data.manifest import summarize
from edgecnn.errors.base import EdgecnnError
from edgecnn.judging.resolution import validation_sentence
from edgecnn.runner.pixels import UnreadableImage, decode
from edgecnn.values.recipe import DataChoice
from tests.data.folders import Heard, fill, write

ROWS = [("path", "label"), *((f"photos/{label}/{number:03d}.png", label) for label in ("käse", "dog") for number in range(12))]


def table(folder: Path, separator: str = ",", first: str = "") -> str:
    fill(folder / "photos", {"käse": 12, "dog": 12})
    return first + "".join(f"{separator.join(row)}\r\n" for row in ROWS)


def because_of(file: Path) -> tuple[str, str]:
    with pytest.raises(EdgecnnError) as refusal:
        summarize(DataChoice(path=str(file)), file.parent / "store", Heard())
    assert refusal.value.ref == "table-unusable"
    return refusal.value.because or "", refusal.value.hint or ""


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_a_list_in_another_encoding_says_how_to_save_it(tmp_path: Path, encoding: str, suffix: str) -> None:
    file = tmp_path / f"my list{suffix}"
    file.write_bytes(table(tmp_path, "\t").encode(encoding))
    because, hint = because_of(file)
    name = "WINDOWS-1252" if encoding == "cp1252" else "UTF-16"
    assert (name.title() in because or name in because) and hint.startswith(f"iconv -f {name} -t UTF-8 ")


def test_class_names_in_another_encoding_say_so(tmp_path: Path) -> None:
    for encoding, told in (("utf-16", "UTF-16"), ("cp1252", "Windows-1252")):
        (tmp_path / "names.txt").write_bytes("käse\ndog\n".encode(encoding))
        with pytest.raises(EdgecnnError, match=told):
            names_in(tmp_path / "names.txt")


@pytest.mark.parametrize(("separator", "first"), [(";", "sep=;\r\n"), ("|", '"sep=|"\r\n'), ("\t", "SEP=\t\r\n")])
def test_a_first_line_of_excel_states_the_separator(tmp_path: Path, separator: str, first: str) -> None:
    (tmp_path / "list.csv").write_text(table(tmp_path, separator, first), encoding="utf-8", newline="")
    assert set(summarize(DataChoice(path=str(tmp_path / "list.csv")), tmp_path / "store", Heard()).classes) == {"dog", "käse"}
    (tmp_path / "list.csv").write_text(f"{first}path{separator}label\r\na.png{separator}\r\n", encoding="utf-8", newline="")
    with pytest.raises(EdgecnnError, match="line 3 of"):
        summarize(DataChoice(path=str(tmp_path / "list.csv")), tmp_path / "store", Heard())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"<!DOCTYPE html>\n<html><body>Log in</body></html>", "a web page"),
        (b"\xef\xbb\xbf\n  <html lang=en>", "a web page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "an XML document"),
        (b'{"error": "rate limit"}', "JSON"),
    ],
)
def test_a_page_or_message_named_like_an_image_is_called_so(tmp_path: Path, content: bytes, told: str) -> None:
    for source in (write(tmp_path / "photo.jpg", content), io.BytesIO(content)):
        with pytest.raises(UnreadableImage) as refusal:
            decode(source)
        assert told in refusal.value.why


def picture(seed: int = 0) -> Image.Image:
    levels = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    return Image.fromarray(levels).resize((300, 200))


def saved(image: Image.Image, kind: str, **settings: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **settings)
    return stream.getvalue()


@pytest.mark.parametrize("subsampling", [0, 2])
def test_a_cut_jpeg_that_ends_properly_is_found(subsampling: int) -> None:
    whole = saved(picture(), "JPEG", quality=80, subsampling=subsampling)
    cut = whole[: len(whole) * 6 // 10] + b"\xff\xd9"
    assert (fingerprint_of(whole).cut_off, fingerprint_of(cut).cut_off) == (False, True)
    grey = saved(Image.new("RGB", (300, 200), (128, 128, 128)), "JPEG")
    assert not fingerprint_of(grey).cut_off, "a plain image is whole"


def test_a_tiff_of_several_pages_counts_as_an_animation() -> None:
    pages = saved(picture(), "TIFF", save_all=True, append_images=[picture(1)])
    assert (fingerprint_of(pages).animated, fingerprint_of(saved(picture(), "TIFF")).animated) == (True, False)


def test_a_class_in_another_profile_or_quality_is_marked() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    images = [((0,), fingerprint_of(saved(picture(number), "JPEG", quality=60))) for number in range(8)]
    images += [((1,), fingerprint_of(saved(picture(number), "JPEG", quality=90))) for number in range(8, 20)]
    images += [
        ((2,), fingerprint_of(saved(picture(number), "JPEG", quality=90, icc_profile=profile))) for number in range(20, 26)
    ]
    marks = {(mark.name, mark.kind, mark.value) for mark in class_marks(images, ("cat", "dog", "owl"))}
    assert ("cat", "JPEG quality", "60") in marks
    assert {(name, kind) for name, kind, _ in marks} == {("cat", "JPEG quality"), ("owl", "colour profile")}


def test_numbers_with_a_sign_or_a_point_are_not_slips_of_each_other() -> None:
    assert name_slips(["-1", "1", "1.5", "15", "+2", "2"]) == ()
    assert name_slips(["t-shirt", "tshirt"]) != ()


def test_few_validation_images_say_what_they_resolve() -> None:
    assert "33 pp" in validation_sentence(3)
    assert validation_sentence(0) == validation_sentence(30) == ""
