"""Formats of image data that edgecnn does not read: how to recognise each, and how to convert it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from edgecnn.errors.labels import FORM_NOT_READ

_AS_FILES: Final = "write each image to a file CLASS/NUMBER.png"


class ForeignForm(NamedTuple):
    """A format, recognised by file names."""

    name: str
    ends: tuple[str, ...]
    """Endings of file names, in lower case."""
    fix: str
    inside: str = ""
    """Part of the names of files that have no fixed suffix."""

    def has(self, name: str) -> bool:
        """Whether a file name belongs to this format."""
        return name.lower().endswith(self.ends) or (self.inside != "" and self.inside in name.lower())


FORMS: Final = (
    ForeignForm(
        "TFRecord", (".tfrecord", ".tfrecords"),
        f"{_AS_FILES}: tf.data.TFRecordDataset reads the records, tf.io.parse_single_example their features",
        inside=".tfrecord-",
    ),
    ForeignForm("LMDB", (".mdb", ".lmdb"), f"{_AS_FILES}: lmdb.open(FOLDER, readonly=True).begin().cursor() gives the records"),
    ForeignForm("HDF5", (".h5", ".hdf5"), f"{_AS_FILES}: h5py.File(FILE) gives the arrays, PIL.Image.fromarray an image"),
    ForeignForm("NumPy arrays", (".npy", ".npz"), f"{_AS_FILES}: numpy.load(FILE) gives arrays, PIL.Image.fromarray an image"),
    ForeignForm("MATLAB files", (".mat",), f"{_AS_FILES}: scipy.io.loadmat(FILE) gives arrays, PIL.Image.fromarray an image"),
    ForeignForm("RecordIO", (".rec",), f"{_AS_FILES}: mxnet.recordio.MXIndexedRecordIO gives the records"),
    ForeignForm("Arrow files", (".arrow",), f"{_AS_FILES}: datasets.load_from_disk(FOLDER) gives the images"),
    ForeignForm("pickled data", (".pkl", ".pickle"), f"{_AS_FILES}, or pass torchvision:NAME for a known data set"),
    ForeignForm("an archive of another kind", (".rar", ".7z", ".tar.bz2", ".tar.xz", ".tbz2", ".txz", ".gz", ".bz2", ".xz"),
                "unpack it and pass the folder"),
    ForeignForm("videos", (".mp4", ".avi", ".mov", ".mkv", ".webm"),
                "write the frames of each class to a folder: ffmpeg -i VIDEO CLASS/%06d.jpg, and pass --group-by for the video"),
)  # fmt: skip


def refuse_foreign(path: Path, names: Sequence[str]) -> None:
    """Refuse a file, or a folder of files, in a format that edgecnn recognises but does not read.

    Raises FORM_NOT_READ: the format is recognised.
    """
    for form in FORMS:
        if any(form.has(name) for name in names):
            raise FORM_NOT_READ(path=path, form=form.name, fix=form.fix)
