"""The order of a model's outputs: names from a text file, from a model file, or ImageNet's; folders are matched by name.

``imagenet_classes.tsv`` has a WordNet ID and a name on each line, in the order of the IDs, which is the output order of
published networks (timm's ``imagenet_synsets.txt``, Apache-2.0). The names are those that torchvision (BSD-3-Clause) publishes
with its weights.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from edgecnn.data.model_metadata import CONFIG, KEYS, is_onnx, names_in_config, names_in_metadata, repository_file
from edgecnn.errors.base import EdgecnnError, system_reason
from edgecnn.errors.data import CLASS_NAMES_UNUSABLE, FOLDERS_OF_ONE_CLASS, no_imagenet_class, not_in_class_names
from edgecnn.errors.wording import nearest
from edgecnn.runner.files import bounded_content
from edgecnn.store.disk import encoding_of, refuse_known_cause, user_path

IMAGENET = "imagenet"
SORTED = "sorted"
CLASSES_WORDS: Final = ("folders", SORTED, IMAGENET)
"""Values of ``data.classes`` that are not a file."""
_BYTES_MAX: Final = 4 << 20
_LABEL_FILE: Final = re.compile(
    r"(?:.*[_.-])?(?:labels?|classes|class_?names|label_?map|id2label|idx_to_(?:class|label)|index_to_(?:name|class|label)|"
    r"class_(?:indices|index|map))\.(?:txt|json|names|ya?ml|pbtxt|csv|tsv)|.+\.names|data\.ya?ml",
    re.IGNORECASE,
)
"""Names that tools give a file of class names next to a model."""
_READ_NEXT_TO_MODELS: Final = (".txt", ".names", ".json")
_CONTROL_CATEGORIES: Final = ("Cc", "Zl", "Zp")
_IMAGENET_FILE = Path(__file__).parent / "imagenet_classes.tsv"


def names_in(file: Path) -> tuple[str, ...]:
    """Return the names in a text file, one a line; blank lines at the end are ignored.

    For an ONNX file return the names in its metadata, for a ``config.json`` those in ``id2label``.

    Raises:
        CLASS_NAMES_UNUSABLE: unreadable, not text, an empty or a repeated name, or an ONNX file without names.
        FileNotFoundError: the file does not exist.
    """
    if (stated := _names_of_model(file)) is not None:
        return stated
    names = [nfc(line.strip()) for line in _read_text(file).rstrip().split("\n")]
    first = dict[str, int]()
    for line, name in enumerate(names, start=1):
        if not name:
            raise CLASS_NAMES_UNUSABLE(file=file, because=f"line {line} is empty")
        if any(unicodedata.category(sign) in _CONTROL_CATEGORIES for sign in name):
            raise CLASS_NAMES_UNUSABLE(file=file, because=f"line {line}, {ascii(name[:100])}, contains a control character")
        if first.setdefault(name, line) < line:
            raise CLASS_NAMES_UNUSABLE(file=file, because=f"lines {first[name]} and {line} are both {name[:100]!r}")
    return tuple(names)


def stated_names(choice: str | None, folders: Sequence[str]) -> tuple[str, ...] | None:
    """Return the names that ``data.classes`` states: those of its file, or the folders in character order; None if it states
    neither.

    Raises CLASS_NAMES_UNUSABLE: see ``names_in``; also if the file does not exist.
    """
    if choice == SORTED:
        return tuple(sorted(folders))
    if choice is None or choice in CLASSES_WORDS:
        return None
    file = user_path(choice)
    try:
        return names_in(file)
    except FileNotFoundError:
        raise CLASS_NAMES_UNUSABLE(file=file, because=f"it is neither a file nor one of {', '.join(CLASSES_WORDS)}") from None


def _read_text(file: Path) -> str:
    try:
        content = bounded_content(file, _BYTES_MAX)
        refuse_known_cause(file, content)
        return content.decode("utf-8-sig")
    except FileNotFoundError:
        raise
    except UnicodeDecodeError as error:
        because = f"it is {encoding_of(content)[0]}; save it as UTF-8"
        raise CLASS_NAMES_UNUSABLE(file=file, because=because) from error
    except OSError as error:
        raise CLASS_NAMES_UNUSABLE(file=file, because=system_reason(error)) from error


def _names_of_model(file: Path) -> tuple[str, ...] | None:
    """Return the names in an ONNX file or a ``config.json``; None for any other file."""
    try:
        if file.name != CONFIG and file.suffix.lower() == ".json" and file.is_file():
            if (names := _names_in_json(file)) is None:
                raise CLASS_NAMES_UNUSABLE(file=file, because="its JSON is neither a list of names nor names by index")
            return names
        if file.name == CONFIG and file.is_file():
            if (names := names_in_config(file)) is None:
                raise CLASS_NAMES_UNUSABLE(file=file, because="its id2label names no classes; use a text file instead")
            return names
        names = names_in_metadata(file)
        if names is None and not is_onnx(file):
            return None
    except FileNotFoundError:
        raise
    except (OSError, ValueError):
        return None  # a text file gets the clearer error
    if names is None:
        raise CLASS_NAMES_UNUSABLE(file=file, because=f"its metadata has no names in {', '.join(KEYS)}; use a text file instead")
    return names


class ModelNames(NamedTuple):
    """Classes in the order of a model's outputs."""

    names: tuple[str, ...]
    file: Path
    """Source of the names, which ``data.classes`` accepts: the model, or a file next to the model."""


def names_in_model(model: Path) -> ModelNames | None:
    """Return the classes in a model file's metadata, in the ``config.json`` or in the only file of labels next to it.

    None if none of them has names.
    """
    file = user_path(model)
    try:
        names = names_in_metadata(file)
        if names is not None:
            return ModelNames(names, model)
        config = repository_file(file, CONFIG)
        if config is not None and (names := names_in_config(config)) is not None:
            return ModelNames(names, config)
        readable = [path for path in label_files_next_to(file) if path.suffix.lower() in _READ_NEXT_TO_MODELS]
        return ModelNames(names_in(readable[0]), readable[0]) if len(readable) == 1 else None
    except (OSError, EdgecnnError):
        return None  # the code that loads the model reports why it cannot be read


def label_files_next_to(model: Path) -> list[Path]:
    """Return the files next to a model whose names say that they name classes, whether or not edgecnn reads them."""
    with suppress(OSError):
        return sorted(path for path in model.parent.iterdir() if _LABEL_FILE.fullmatch(path.name) and path.is_file())
    return []


def _names_in_json(file: Path) -> tuple[str, ...] | None:
    """Return the names in a JSON file: a list, names by index, or indices by name; None if it has another form."""
    try:
        content = json.loads(_read_text(file))
    except (ValueError, RecursionError):
        return None
    if isinstance(content, dict) and all(isinstance(index, int) for index in content.values()):
        content = {str(index): name for name, index in content.items()}
    if isinstance(content, dict):
        content = [content.get(str(index)) for index in range(len(content))]
    if not isinstance(content, list):
        return None
    names = [entry[-1] if isinstance(entry, list) and entry else entry for entry in content]  # [WordNet ID, name]
    is_valid = len(names) > 1 and all(isinstance(name, str) and name.strip() for name in names)
    return tuple(nfc(name.strip()) for name in names) if is_valid and len(set(names)) == len(names) else None


def order_by_names(names: Sequence[str], folders: Sequence[str], root: Path, model: str) -> tuple[str, ...] | None:
    """Return the ``names`` of the file ``model``. A name that has a folder is spelled like the folder.

    None if no folder matches a name, for example in another language, or if two folders match the same name.

    Raises NotInClassNames: some folders match and one does not, so the order is uncertain.
    """
    indices = _indices_of_names(folders, names)
    known = [index for index in indices if index is not None]
    if not known or len(set(known)) < len(known):
        return None
    if len(known) < len(folders):
        folder = folders[indices.index(None)]
        raise not_in_class_names(root=root, folder=folder, file=model, nearest=nearest(folder, names), is_stated=False)
    folder_of = dict(zip(known, folders, strict=True))
    return tuple(folder_of.get(index, name) for index, name in enumerate(names))


def labels_by_name(folders: Sequence[str], names: Sequence[str], root: Path, file: str) -> tuple[int, ...]:
    """Return the index in the file of each folder's name.

    Spaces, ``_`` and ``-`` are equal. Case is ignored if the names still differ.

    Raises NotInClassNames: a folder matches no name. FOLDERS_OF_ONE_CLASS: two folders match the same name.
    """
    indices, first = _indices_of_names(folders, names), dict[int, str]()
    for folder, index in zip(folders, indices, strict=True):
        if index is None:
            raise not_in_class_names(root=root, folder=folder, file=file, nearest=nearest(folder, names))
        if (other := first.setdefault(index, folder)) != folder:
            raise FOLDERS_OF_ONE_CLASS(root=root, folders=(other, folder), name=names[index], file=file)
    return tuple(index for index in indices if index is not None)


def _indices_of_names(folders: Sequence[str], names: Sequence[str]) -> list[int | None]:
    """Return the index in ``names`` of each folder's name; None if no name matches."""
    loose = {spaced(name).casefold(): index for index, name in enumerate(names)}
    if len(loose) < len(names):
        loose = {}
    exact = {nfc(name): index for index, name in enumerate(names)}
    return [exact.get(nfc(folder), loose.get(spaced(folder).casefold())) for folder in folders]


def nfc(name: str) -> str:
    """Return the name in Unicode's composed form (NFC); macOS stores file names decomposed."""
    return unicodedata.normalize("NFC", name)


def spaced(name: str) -> str:
    """Return the composed name with one space for each run of spaces, ``_`` and ``-``."""
    return " ".join(nfc(name).replace("_", " ").replace("-", " ").split())


@lru_cache(maxsize=1)
def imagenet_classes() -> tuple[str, ...]:
    """Return a unique name for each of the 1,000 outputs."""
    return tuple(name for _, name in _imagenet_rows())


def imagenet_ids() -> tuple[str, ...]:
    """Return the WordNet ID of each of the 1,000 outputs."""
    return tuple(wnid for wnid, _ in _imagenet_rows())


def imagenet_labels(folders: Sequence[str], root: Path) -> tuple[int, ...]:
    """Return the class of each folder, by its WordNet ID (n01440764) or its name.

    Spaces, ``_`` and ``-`` are equal. Case matters only for Cardigan, the dog, and cardigan.

    Raises NO_IMAGENET_CLASS: a folder's name is not an ImageNet class.
    """
    exact, caseless = _labels_of_imagenet_names()
    labels = []
    for folder in folders:
        name = spaced(folder)
        if (label := exact.get(name, caseless.get(name.casefold()))) is None:
            raise no_imagenet_class(root=root, folder=folder, nearest=nearest(name, imagenet_classes()))
        labels.append(label)
    return tuple(labels)


@lru_cache(maxsize=1)
def _labels_of_imagenet_names() -> tuple[Mapping[str, int], Mapping[str, int]]:
    exact = {text: label for label, row in enumerate(_imagenet_rows()) for text in (row[0], spaced(row[1]))}
    counts = Counter(text.casefold() for text in exact)
    return exact, {text.casefold(): label for text, label in exact.items() if counts[text.casefold()] == 1}


def _imagenet_rows() -> list[tuple[str, str]]:
    lines = _IMAGENET_FILE.read_text(encoding="utf-8").splitlines()
    return [(wnid, name) for wnid, _, name in (line.partition("\t") for line in lines)]
