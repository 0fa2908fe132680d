"""Where images come from, and how a list of them is read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from edgecnn.values.base import Value


def printable(text: str) -> str:
    """The text itself. Raises PydanticCustomError: it holds a sign that cannot be printed."""
    if not text.isprintable():
        raise PydanticCustomError("unprintable", "holds a sign that cannot be printed; write it as an escape, such as \\t")
    return text


ColumnName = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(printable)]
PathSuffix = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^/\\]+$"), AfterValidator(printable)]
LabelSeparator = Literal["blank", "comma", "none"]


class DataSource(Value):
    """The first settings of ``[data]``."""

    path: str = "demo"
    """A folder with a sub-folder a class, or with train/, val/ and test/, or of IDX files, or of images with a label file;
    a CSV, TSV, JSON Lines or Parquet list; a zip or tar of a folder; torchvision:NAME; or demo."""
    path_column: ColumnName | None = None
    """The column of a list that holds the paths of the images. Unset: path, or another usual name such as file_name."""
    label_column: ColumnName | None = None
    """The column of a list that holds the class of each image; columns that are not named are then ignored. Unset: label, or
    another usual name such as class, or the only other column."""
    label_separator: LabelSeparator | None = None
    """What stands between several labels in one cell: blank or comma. none: the cell is one label. Unset: one label of the
    column label, and of a column labels those between | or ;."""
    path_suffix: PathSuffix | None = None
    """Added to each path of a list, such as .jpg. Unset: nothing, or the suffix with which the files exist."""
    image_root: str | None = None
    """The folder from which paths of a list count. Unset: the list's own folder."""
