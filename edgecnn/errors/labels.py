"""Failures of lists of images, of label files, of groups (``data.group_by``), and of images with several labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ErrorRow
from edgecnn.errors.wording import and_more, counted, did_you_mean, first_quoted, listed, none_of, plural, shortened


class GroupPatternInvalid(EdgecnnError):
    """``data.group_by`` is neither a column nor a regular expression."""


class GroupPatternTooSlow(EdgecnnError):
    """A regular expression does not finish: nested repetitions can take years on a short path."""


class NoGroupFound(EdgecnnError):
    """``data.group_by`` gives no image a group."""


class GroupOnTwoSides(EdgecnnError):
    """Two of the user's own splits have images of one group."""


class TooFewGroups(EdgecnnError):
    """A class has images of fewer groups than there are separate roles."""


class GroupsNotDivisible(EdgecnnError):
    """Every class has enough groups, but no division gives every role images of every class."""


class MultiLabelNotFitting(EdgecnnError):
    """A setting applies to images with one class each, and these images have several labels."""


class LabelTooRare(EdgecnnError):
    """Labels are on too few images for their roles."""


class LabelsNotDivisible(EdgecnnError):
    """Every label is on enough images, but no division gives every role images of every label."""


LISTED_FILES_MISSING = ErrorRow(
    "listed-files-missing", "{none} in {file} exists", "{because}", "{hint}", also=("paths", "example")
)
LISTED_FILE_TWICE = ErrorRow(
    "listed-file-twice",
    "{path!r} in {file} matches {files:listed}",
    fix="pass --image-root with the base folder of the paths, or pass --path-suffix, such as .jpg",
)
LABELS_LOOK_JOINED = ErrorRow(
    "labels-look-joined",
    "the label {label!r} in {file} looks like {words:counted label}",
    "each of its words is also a label of other images",
    "pass --label-separator blank if an image can have several labels, or --label-separator none if it has one",
)
LABEL_FILES_UNCLEAR = ErrorRow(
    "label-files-unclear",
    "several files in {folder} could give the classes of its images",
    "{names:first 8}",
    "choose one of them, such as --data {first:word}",
)
LABEL_FILE_UNUSABLE = ErrorRow(
    "label-file-unusable",
    "{file} cannot be used as {form}",
    "{because}",
    "write a list with the columns path and label, one row for each image, and pass it with --data",
)
SHARDS_WITHOUT_SPLIT = ErrorRow(
    "shards-without-split",
    "the split of {names:first 8} in {folder} is unclear",
    "the names of other archives contain a split, such as {example}",
    "rename {names[0]} to train-{names[0]} if its images are training images",
)
FORM_NOT_READ = ErrorRow("form-not-read", "{path} contains {form}, which edgecnn does not read", fix="{fix}")
DATA_NOT_READ = ErrorRow(
    "data-not-read", "{path} is an unknown kind of data", "edgecnn reads {reads}", "convert it to one of these formats"
)
DATA_IS_ADDRESS = ErrorRow(
    "data-is-address", "edgecnn does not download {address:short}", "edgecnn reads {reads}", "download the data first"
)
_NAMED = 5
_SIGNS = 100
"""Characters of a group's name that are shown, since a cell of a list can be long."""
GROUP_PATTERN_INVALID = ErrorRow(
    "group-pattern-invalid",
    "data.group_by '{pattern}' cannot be read as a regular expression",
    "{because}",
    "write one such as 'person([0-9]+)', or the name of a list column",
    kind=GroupPatternInvalid,
)
GROUP_PATTERN_TOO_SLOW = ErrorRow(
    "group-pattern-too-slow",
    "matching data.group_by '{pattern}' against {paths:counted path} took over {limit_s:g} s",
    fix="avoid nested repetition such as (a+)+",
    kind=GroupPatternTooSlow,
)
NO_GROUP_FOUND = ErrorRow("no-group-found", "{problem} in {source}", "{because}", "{hint}", kind=NoGroupFound)
GROUP_ON_TWO_SIDES = ErrorRow(
    "group-on-two-sides",
    "group {group!r} in {root} is in two of your splits",
    "{paths:listed} belong to the group{more}",
    "move all files of each group into one split, or remove data.group_by",
    kind=GroupOnTwoSides,
)
TOO_FEW_GROUPS = ErrorRow(
    "too-few-groups",
    "{shown} in {root} cannot fill {roles:listed} with separate groups",
    "the images belong to only {groups} ({named}){also}",
    "add images of other groups, or remove data.group_by",
    kind=TooFewGroups,
)
GROUPS_NOT_DIVISIBLE = ErrorRow(
    "groups-not-divisible",
    "whole groups in {root} cannot give {roles:listed} images of every class",
    "the largest group, {group!r}, holds {share:.0%} of class {name!r}",
    "define smaller groups, add images of other groups, or divide the images yourself into train/, val/ and test/",
    kind=GroupsNotDivisible,
)
MULTI_LABEL_NOT_FITTING = ErrorRow(
    "multi-label-not-fitting",
    "{asked} cannot be combined with several labels for each image",
    "{because}",
    "{hint}",
    kind=MultiLabelNotFitting,
)
BOUND_OF_SEVERAL_LABELS = ErrorRow(
    "bound-of-several-labels",
    "a bound of {metric} cannot be used for single-label images",
    "the metric applies to images with several labels",
    "use a bound such as --max drop_pp=1 or --min top1=0.8",
)
LABEL_TOO_RARE = ErrorRow(
    "label-too-rare",
    "label {name!r} in {file} has {found:counted usable image}, but needs {needed} for {roles:listed}",
    "{because}",
    "{add} images with this label, or remove the label from the list",
    kind=LabelTooRare,
)
LABELS_NOT_DIVISIBLE = ErrorRow(
    "labels-not-divisible",
    "no division of {file} gives {roles:listed} images of every label",
    fix="add images with the rare labels, or divide the images yourself in a split column",
    kind=LabelsNotDivisible,
)
UNKNOWN_LABEL = ErrorRow(
    "unknown-label",
    "label {name!r} in {file} is not one of the {count} of {known_by}",
    "the known labels are {known}",
    "{guess}correct the list, or remove the label from it",
)
THRESHOLDS_OF_ANOTHER_MODEL = ErrorRow(
    "thresholds-of-another-model",
    "the thresholds in {file} belong to another model",
    "{because}",
    "use the thresholds and the kit of the same build",
)


def listed_files_missing(file: Path, root: Path, paths: Sequence[str], has_root: bool = True) -> EdgecnnError:
    """``has_root``: the folder at the start of the list's paths exists."""
    example = shortened(paths[0])
    if not has_root:
        because, hint = (
            f"the folder {root} does not exist; the first path is {example!r}",
            "pass --image-root with a folder that exists",
        )
    elif paths[0].startswith("/") or paths[0][1:3] in (":\\", ":/"):
        because = f"neither {root} nor a folder in it has {example!r}"
        hint = "write the paths relative to a folder of this computer, and pass that folder with --image-root"
    else:
        because = f"neither {root} nor a folder in it has {example!r}"
        hint = "pass --image-root with the base folder of the paths; if they lack a suffix, pass --path-suffix, such as .jpg"
    return LISTED_FILES_MISSING(
        file=file,
        paths=len(paths),
        none=none_of(len(paths), "listed file"),
        example=example,
        because=because,
        hint=hint,
    )


def listed_file_twice(file: Path, path: str, files: Sequence[str]) -> EdgecnnError:
    return LISTED_FILE_TWICE(file=file, path=shortened(path), files=[shortened(name) for name in files])


def labels_look_joined(file: Path, label: str, words: Sequence[str]) -> EdgecnnError:
    return LABELS_LOOK_JOINED(file=file, label=shortened(label), words=len(words))


def label_files_unclear(folder: Path, names: Sequence[str]) -> EdgecnnError:
    return LABEL_FILES_UNCLEAR(folder=folder, names=names, first=folder / names[0])


def no_groups(by: str, source: Path, example: str, column: bool) -> EdgecnnError:
    """``column``: ``by`` names a column."""
    if column:
        problem, because = f"the data.group_by column '{by}' is empty", "no row has a value in it"
        hint = "fill the column, or remove data.group_by"
    else:
        problem, because = f"data.group_by '{by}' matches no path", f"one of the paths is {example!r}"
        hint = "write a regular expression, such as 'person([0-9]+)', or the name of a list column; "
        hint += "the first parenthesized part, or else the whole match, names the group of an image"
    return NO_GROUP_FOUND(source=source, problem=problem, because=because, hint=hint)


def group_on_two_sides(root: Path, group: str, paths: Sequence[str], others: int) -> EdgecnnError:
    """``others``: further groups that are on two sides."""
    more = f"; {counted(others, 'other group is', 'other groups are')} also in two splits" if others else ""
    return GROUP_ON_TWO_SIDES(root=root, group=group[:_SIGNS], paths=paths, more=more)


def too_few_groups(root: Path, names: Sequence[str], groups: Sequence[str], alone: int, roles: Sequence[str]) -> EdgecnnError:
    """``names``: the classes with too few groups; empty if all classes together have too few.

    ``alone``: number of images without a group.
    """
    named = [
        *(repr(group[:_SIGNS]) for group in groups[:_NAMED]),
        *([counted(alone, "image without one", "images without one")] if alone else []),
    ]
    others = names[1:]
    also = first_quoted(others)
    return TOO_FEW_GROUPS(
        root=root,
        shown=f"class {names[0]!r}" if names else "all classes together",
        roles=roles,
        groups=counted(len(groups) + alone, "group"),
        named=f"{listed(named)}{and_more(len(groups), _NAMED)}",
        also=f"; {also} also {plural(len(others), 'has', 'have')} too few groups" if others else "",
    )


def groups_not_divisible(root: Path, roles: Sequence[str], group: str, share: float, name: str) -> EdgecnnError:
    """``share``: share of the class ``name`` that is in ``group``."""
    return GROUPS_NOT_DIVISIBLE(root=root, roles=roles, group=group[:_SIGNS], share=share, name=name)


def multi_label_not_fitting(
    setting: str, because: str, hint: str = "remove the setting, or list one label for each image"
) -> EdgecnnError:
    return MULTI_LABEL_NOT_FITTING(asked=setting, because=because, hint=hint)


def label_too_rare(file: Path, short: Sequence[tuple[str, int, int]], roles: Sequence[str], own: bool = False) -> EdgecnnError:
    """``short``: labels, each with its number of images and the number needed; the first is explained in full.

    ``own``: the only role that is a split of the list's own.
    """
    (name, images, needed), others = short[0], [other for other, _, _ in short[1:]]
    also = first_quoted(others)
    return LABEL_TOO_RARE(
        file=file,
        name=name,
        found=images,
        needed=needed,
        roles=roles,
        because=f"{also} also {plural(len(others), 'has', 'have')} too few images" if others else None,
        add="give that split" if own else "add",
    )


def unknown_label(file: Path, name: str, known: Sequence[str], known_by: str) -> EdgecnnError:
    return UNKNOWN_LABEL(
        file=file,
        name=name,
        count=len(known),
        known_by=known_by,
        known=f"{', '.join(known[:_NAMED])}{and_more(len(known), _NAMED)}",
        guess=did_you_mean(name, known),
    )


def thresholds_of_another_model(file: Path, names: Sequence[str], labels: Sequence[str]) -> EdgecnnError:
    missing = [name for name in labels if name not in names]
    because = f"it has {len(names)} thresholds, but the network has {len(labels)} labels"
    if missing:
        because = f"the file has no threshold for {missing[0]!r}"
    return THRESHOLDS_OF_ANOTHER_MODEL(file=file, because=because)
