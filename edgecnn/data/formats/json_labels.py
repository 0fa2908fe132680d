"""Label files in JSON: COCO annotations with one category an image, and Edge Impulse's ``info.labels``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from edgecnn.data.formats.rows import Row, label_name, path_fault
from edgecnn.data.split_names import split_name
from edgecnn.errors.base import system_reason
from edgecnn.errors.labels import LABEL_FILE_UNUSABLE
from edgecnn.errors.wording import shortened
from edgecnn.runner.files import bounded_content
from edgecnn.store.disk import refuse_known_cause

COCO: Final = ".json"
EDGE_IMPULSE: Final = "info.labels"
_FORMS: Final = {True: "Edge Impulse labels", False: "COCO annotations"}
_BYTES_MAX: Final = 1 << 30


def is_json_labels(file: Path) -> bool:
    """Whether a data path is such a file."""
    return file.name.lower().endswith((COCO, EDGE_IMPULSE)) and file.is_file()


def rows_of_json(file: Path) -> Iterator[Row]:
    """Return its images. Raises LABEL_FILE_UNUSABLE: unknown form, or not exactly one class an image. WRONG_BYTES: see there."""
    refuse_known_cause(file)
    form = _FORMS[file.name.lower().endswith(EDGE_IMPULSE)]
    try:
        content = json.loads(bounded_content(file, _BYTES_MAX))
        rows = _rows_of_edge_impulse(content) if form == _FORMS[True] else _rows_of_coco(content)
        for path, label, split in rows:
            if because := path_fault(path):
                raise ValueError(f"of an image, {because}" if path else "an image has no path")
            if (part := split_name(split)) is None:
                raise ValueError(f"its image {shortened(path)!r} has the split {shortened(split)!r}")
            if not (name := label_name(file, None, label)):
                raise ValueError(f"its image {shortened(path)!r} has a class without a name")
            yield Row(path, name, part.part)
    except OSError as error:
        raise LABEL_FILE_UNUSABLE(file=file, form=form, because=system_reason(error)) from error
    except RecursionError as error:
        raise LABEL_FILE_UNUSABLE(file=file, form=form, because="it is nested too deeply") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise LABEL_FILE_UNUSABLE(file=file, form=form, because=f"it has another format ({shortened(str(error))})") from error
    except ValueError as error:
        raise LABEL_FILE_UNUSABLE(file=file, form=form, because=shortened(str(error), 300)) from error


def _rows_of_coco(content: Any) -> Iterator[tuple[str, str, str]]:
    names = {category["id"]: str(category["name"]) for category in content["categories"]}
    paths = {image["id"]: str(image["file_name"]) for image in content["images"]}
    labels: dict[object, str] = {}
    for annotation in content["annotations"]:
        image, label = annotation["image_id"], names[annotation["category_id"]]
        if labels.setdefault(image, label) != label:
            both = f"{shortened(labels[image])!r} and {shortened(label)!r}"
            raise ValueError(f"its image {shortened(paths[image])!r} has the categories {both}")
    for image, path in paths.items():
        if image not in labels:
            raise ValueError(f"its image {shortened(path)!r} has no category")
        yield path, labels[image], "train"


def _rows_of_edge_impulse(content: Any) -> Iterator[tuple[str, str, str]]:
    for entry in content["files"]:
        label: Mapping[str, Any] = entry["label"]
        if label.get("type") != "label" or not str(label.get("label", "")).strip():
            raise ValueError(f"its image {shortened(str(entry['path']))!r} has no single label")
        yield str(entry["path"]), str(label["label"]), str(entry["category"])
