"""What the importers of public tables share: the digests that were read, and where tables are written."""

from __future__ import annotations

import hashlib
import json
import sys
from typing import NamedTuple

from edgecnn.installed import resource_folder
from edgecnn.values.forecast import PublicTable


class Checked(NamedTuple):
    """A source as it was read by a person when its importer was written."""

    name: str
    sha256: str
    parts: int
    """Calls or rows that the importer finds in it."""


CHECKED = {
    "xnnpack": Checked("xnnpack", "fff7666e2b6729925b6c0ef8e2632dbfb3b83fbbe01ac83a1aa64c8c7f83eafd", 30),
    "torch2trt": Checked("torch2trt", "67fc7a2dc31783de8546b9c5b4ad5376b56f8b559cfbbc7efeb32f08b850ec94", 38),
    "ncnn": Checked("ncnn", "a0bf366647d99ed1044c766f0c821d70e4998c7ff0e1e6ed5e53ab01052293cc", 208),
}


_REMEDY = f"read the source again, then renew CHECKED in {__file__}"


def require_unchanged(checked: Checked, sha256: str, parts: int) -> None:
    """Refuse a source that is not the one that was read.

    Raises SystemExit: its digest or its shape is another one; says which.
    """
    if parts != checked.parts:
        sys.exit(f"{checked.name}: the table has {parts} parts and had {checked.parts}: {_REMEDY}")
    if sha256 != checked.sha256:
        sys.exit(
            f"{checked.name}: the digest is {sha256} and was {checked.sha256}: read it again, then renew CHECKED in {__file__}"
        )


def digest_of(text: str) -> str:
    """SHA-256 of a page."""
    return hashlib.sha256(text.encode()).hexdigest()


def write_table(table: PublicTable) -> None:
    """Write ``baselines/public/NAME.json``, one run a line."""
    path = resource_folder("baselines") / "public" / f"{table.name}.json"
    document = table.model_dump(mode="json", by_alias=True, exclude_none=False)
    runs = ",\n  ".join(json.dumps(run, ensure_ascii=False) for run in document.pop("runs"))
    head = json.dumps(document, ensure_ascii=False, indent=1).removesuffix("\n}")
    path.write_text(f'{head},\n "runs": [\n  {runs}\n ]\n}}\n', encoding="utf-8")
    print(f"{path}: {len(table.runs)} runs of {len(table.boards)} boards, {len(table.networks)} networks")
