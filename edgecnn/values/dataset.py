"""The images of a build by content: sources, roles, and findings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from edgecnn.errors.wording import and_more, counted, plural
from edgecnn.values.base import Value
from edgecnn.values.stage import Key, digest_of


def printable(text: str) -> str:
    """Return the text. Raises PydanticCustomError: it contains a character that cannot be printed."""
    if not text.isprintable():
        raise PydanticCustomError("unprintable", "holds a character that cannot be printed; write it as an escape, such as \\t")
    return text


ColumnName = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(printable)]
PathSuffix = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^/\\]+$"), AfterValidator(printable)]
LabelSeparator = Literal["blank", "comma", "none"]


class DataSource(Value):
    """The first settings of ``[data]``."""

    path: str = "demo"
    """A folder with one sub-folder for each class, or with train/, val/ and test/, or of IDX files, or of images with a label
    file; a CSV, TSV, JSON Lines or Parquet list; a zip or tar of a folder; torchvision:NAME; or demo."""
    path_column: ColumnName | None = None
    """List column that holds the paths of the images. Unset: path, or another usual name such as file_name."""
    label_column: ColumnName | None = None
    """List column that holds the class of each image; columns that no option names are then ignored. Unset: label, or another
    usual name such as class, or the only other column."""
    label_separator: LabelSeparator | None = None
    """The separator of several labels in one cell: blank or comma. none: each cell is one label. Unset: the column label has one
    label; labels in a column labels are separated by | or ;."""
    path_suffix: PathSuffix | None = None
    """Suffix to add to each path of a list, such as .jpg. Unset: none, or the suffix of the existing files."""
    image_root: str | None = None
    """Base folder for the relative paths in a list. Unset: the list's own folder."""


SplitRole = Literal["train", "calibration", "validation", "test"]
UNLABELLED = -1
_NAMED = 10
SPLIT_ROLES: tuple[SplitRole, ...] = ("train", "calibration", "validation", "test")


class Fold(Value):
    """One of the parts that are test images in turn."""

    number: int
    """Number of the fold, from 1."""
    of: int

    def part_of(self, count: int, number: int | None = None) -> tuple[int, int]:
        """Return the start and end of the part among ``count`` images in order; parts differ by at most one image.

        ``number``: of another fold than this one.
        """
        place = self.number if number is None else number
        return count * (place - 1) // self.of, count * place // self.of


class ImageEntry(Value):
    """One image: its path relative to the manifest's root, its class index, its role and its digest."""

    path: str
    label: int
    """``UNLABELLED`` if its class is unknown."""
    role: SplitRole
    sha256: str
    labels: tuple[int, ...] | None = Field(default=None, exclude_if=lambda labels: labels is None)
    """All labels of a multi-label image in ascending order, possibly none; ``label`` is then ``UNLABELLED``."""
    group: str | None = Field(default=None, exclude_if=lambda group: group is None)
    """Its group by ``data.group_by``."""

    @property
    def shown(self) -> str:
        """Its label or labels, as in the digest of a data set."""
        return str(self.label) if self.labels is None else f"[{','.join(map(str, self.labels))}]"


class DataManifest(Value):
    """Every image of a data set."""

    schema_: Literal["edgecnn.data/2"] = "edgecnn.data/2"
    origin: Literal["demo", "folder"]
    root: str
    classes: tuple[str, ...]
    """Empty if the images have no labels."""
    images: tuple[ImageEntry, ...]
    skipped: tuple[str, ...] = ()
    """Files that are not readable images, with the reason."""
    copies: tuple[str, ...] = ()
    """Images excluded because the same bytes are in another split or class."""

    @property
    def multi_label(self) -> bool:
        """Whether each image has any number of labels instead of one class."""
        return any(image.labels is not None for image in self.images[:1])

    @property
    def content(self) -> Key:
        """Digest of the data independent of its root: classes and, in order, each listed image."""
        rows = [f"{image.shown} {image.role} {image.sha256} {image.path}" for image in self.images]
        groups = {"groups": [image.group for image in self.images]} if any(image.group for image in self.images) else {}
        return digest_of({"classes": self.classes, "images": rows, **groups})


class Grouping(Value):
    """Result of ``data.group_by``: no group is in two separate roles.

    Train and calibration count as one role; if nothing is trained, calibration is separate.
    """

    by: str
    groups: int
    """Number of groups among the images used."""
    largest: str
    largest_images: int
    alone: int
    """Images without a group, each of which counts as one."""
    off: tuple[str, ...] = ()
    """Shares that differ from the requested ones because groups stay together, one clause each."""

    @property
    def sentence(self) -> str:
        """Sentence for plans and reports."""
        parts = [f"split by group ('{self.by}'): {counted(self.groups, 'group')}, none in two splits"]
        if self.alone:
            parts.append(f"{counted(self.alone, 'image')} of no group {plural(self.alone, 'counts as one', 'count as one each')}")
        return "; ".join((*parts, *self.off))


SkippedBecause = Literal["hidden", "left by a tool", "not in a class folder", "not in the list", "without a label"]


class SkippedImages(Value):
    """A skipped file or folder with images, inside the user's folder. ``path``: relative to the root."""

    path: str
    images: int
    why: SkippedBecause


class LinkedImages(Value):
    """Images outside a data folder that links in the folder lead to. DVC and similar tools create such links."""

    images: int
    folder: str
    """The innermost folder that contains all of these images."""

    @property
    def sentence(self) -> str:
        """The number of images and their folder, in a sentence without a full stop."""
        return f"links lead to {counted(self.images, 'image')} outside the data folder, in {self.folder}"


class RoleSummary(Value):
    """Summary of one role's images, enough to compare two builds."""

    content: Key
    """Digest of the images and labels, independent of order and paths."""
    by_class: tuple[int, ...]
    """Images of each class, in the order of ``DataSummary.classes``; for multi-label data, of each label."""


class DataTotals(Value):
    """Numbers and digests of a build's images, without names of files, folders or groups, so it may be committed to Git."""

    content: Key
    classes: tuple[str, ...]
    counts: Mapping[SplitRole, int]
    roles: Mapping[SplitRole, RoleSummary] = Field(default={}, exclude_if=lambda roles: not roles)
    """All four roles, or none in an older version."""

    @model_validator(mode="after")
    def _complete(self) -> DataTotals:
        if self.roles and set(self.roles) != set(SPLIT_ROLES):
            raise ValueError("roles: give all four or none")
        if any(len(role.by_class) != len(self.classes) for role in self.roles.values()):
            raise ValueError("roles: one number for each class")
        return self


class DataSummary(Value):
    """A manifest's facts for planning, without its lines."""

    origin: Literal["demo", "folder"]
    root: str
    content: Key
    """Digest of classes and images, by which stages identify the data."""
    manifest_path: str
    classes: tuple[str, ...]
    counts: Mapping[SplitRole, int]
    roles: Mapping[SplitRole, RoleSummary] = Field(default={}, exclude_if=lambda roles: not roles)
    """Empty in a plan of an older version."""
    skipped: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    splits_from: str
    """One sentence: the role of each folder."""
    grouping: Grouping | None = Field(default=None, exclude_if=lambda grouping: grouping is None)
    """None if ``data.group_by`` is unset."""
    own_roles: tuple[SplitRole, ...] = Field(default=(), exclude_if=lambda roles: not roles)
    """Roles that are a complete split of the user's; the others are drawn."""
    multi_label: bool = Field(default=False, exclude_if=lambda multi_label: not multi_label)
    """Whether each image has any number of labels, listed in ``classes``, instead of one class."""
    links_out: LinkedImages | None = Field(default=None, exclude_if=lambda links: links is None)

    @property
    def training_photographs(self) -> int:
        """Number of photographs that train: those of the roles train and calibration."""
        return self.counts["train"] + self.counts["calibration"]

    @property
    def totals(self) -> DataTotals:
        """The part that compares two builds."""
        return DataTotals(content=self.content, classes=self.classes, counts=self.counts, roles=self.roles)

    @property
    def class_names(self) -> str:
        """The number of classes or labels, and the first names; empty if the images have no labels."""
        if not self.labelled:
            return ""
        names = ", ".join(self.classes[:_NAMED]) + and_more(len(self.classes), _NAMED)
        return f"{len(self.classes):,} {'labels, any number per image' if self.multi_label else 'classes'} ({names})"

    @property
    def labelled(self) -> bool:
        """False if the images have no labels; then only the agreement of two networks is known."""
        return bool(self.classes)


class DataChange(Value):
    """Differences between the images of two builds."""

    images: tuple[int, int]
    """Totals, before and now."""
    classes: Mapping[str, tuple[int, int]]
    """Classes with another number of images, before and now; empty if an older plan does not say."""
    roles: Mapping[SplitRole, tuple[int, int]]
    """Images of each role, before and now."""
    unchanged: tuple[SplitRole, ...] | None
    """Roles with the same images and labels; None if an older plan does not say."""
    renamed: Mapping[str, str] = Field(default={}, exclude_if=lambda renamed: not renamed)
    """Renamed classes, if images and labels are the same."""

    @classmethod
    def between(cls, before: DataTotals, now: DataTotals) -> DataChange | None:
        """Return the change; None if both have the same images in the same roles."""
        if before.content == now.content:
            return None
        classes, unchanged = {}, None
        if before.roles and now.roles:
            totals = _images_by_class(before), _images_by_class(now)
            names = dict.fromkeys((*now.classes, *before.classes))
            counts = {name: (totals[0].get(name, 0), totals[1].get(name, 0)) for name in names}
            classes = {name: pair for name, pair in counts.items() if pair[0] != pair[1]}
            unchanged = tuple(role for role in SPLIT_ROLES if before.roles[role].content == now.roles[role].content)
        same = unchanged == SPLIT_ROLES and len(before.classes) == len(now.classes)
        pairs = zip(before.classes, now.classes, strict=True) if same else ()
        return cls(
            images=(sum(before.counts.values()), sum(now.counts.values())),
            classes={} if same else classes,
            renamed={old: new for old, new in pairs if old != new},
            roles={role: (before.counts.get(role, 0), now.counts.get(role, 0)) for role in SPLIT_ROLES},
            unchanged=unchanged,
        )

    @property
    def sentence(self) -> str:
        """Such as ``+80 images (hat +24, shoes +56); train 2,400 → 2,470; validation 130 → 140; test unchanged``."""
        if self.renamed:
            return "the same images, classes renamed: " + ", ".join(f"{old} → {new}" for old, new in self.renamed.items())
        if self.unchanged == SPLIT_ROLES:
            return "the same images and labels, under other paths, in another order or grouped differently"
        added = self.images[1] - self.images[0]
        total = f"{added:+,} {plural(abs(added), 'image')}" if added else f"other images or labels, {self.images[1]:,} as before"
        changed = [f"{name} {now - before:+,}" for name, (before, now) in self.classes.items()]
        classes = f" ({', '.join(changed[:_NAMED])}{and_more(len(changed), _NAMED)})" if changed else ""
        return "; ".join((total + classes, *(self._role_words(role) for role in SPLIT_ROLES if any(self.roles[role]))))

    def _role_words(self, role: SplitRole) -> str:
        before, now = self.roles[role]
        if before != now:
            return f"{role} {before:,} → {now:,}"
        if self.unchanged is None:
            return f"{role} {now:,} as before"
        return f"{role} unchanged" if role in self.unchanged else f"{role} {now:,} as before, other images or labels"


def _images_by_class(data: DataTotals) -> dict[str, int]:
    return {name: sum(role.by_class[place] for role in data.roles.values()) for place, name in enumerate(data.classes)}


def roles_text(sentence: str, *, trains: bool = True) -> str:
    """Return the sentence about the role of each image; if it counts calibration images, say that they also train.

    ``trains``: whether the build trains a network.
    """
    return f"{sentence}; calibration images also train" if trains and "calibration " in sentence else sentence


class DataDivision(Value):
    """``edgecnn data split FOLDER --out FOLDER``, schema edgecnn.division/2."""

    schema_: Literal["edgecnn.division/2"] = Field(default="edgecnn.division/2", alias="schema")
    version: str
    root: str
    out: str
    seed: int
    content: Key
    """Digest of the divided folder, as a build identifies it."""
    images: Mapping[Literal["train", "validation", "test"], int]
    roles: Mapping[SplitRole, int]
    """Images by role, as a build of either folder draws them: train/ contains train and calibration."""
    roles_from: str
    linked: bool
    """Hard links: both names are one file, so a change to one changes the other."""
    skipped: tuple[str, ...]
    """Files that are not readable images, with the reason."""
    copies: tuple[str, ...]
    """Excluded: the same bytes are in another split or class."""
    links_out: LinkedImages | None = Field(default=None, exclude_if=lambda links: links is None)
    """Images outside the divided folder; None if there are none."""


class ClassCount(Value):
    """One class: its name, its images by split folder, and its files that cannot be used."""

    name: str
    images: int
    by_split: Mapping[Literal["train", "validation", "test"], int]
    unreadable: int


class FileProblem(Value):
    """A file that a build cannot use, and why. ``path`` is relative to the root."""

    path: str
    why: str


class Alike(Value):
    """Files with the same bytes, or images that look alike."""

    paths: tuple[str, ...]
    classes: tuple[str, ...]
    """Classes of these files; more than one is a contradiction."""
    roles: tuple[SplitRole, ...]
    """Roles in a build; more than one is a leak. Empty if a build would use none of them."""


class NameSlip(Value):
    """Two classes whose names are suspiciously similar."""

    one: str
    other: str
    why: str


MarkKind = Literal["mode", "format", "size", "colour profile", "JPEG quality"]


class ClassMark(Value):
    """A property of files that all images of one class and few others have."""

    name: str
    kind: MarkKind
    value: str
    images: int
    """Number of images of the class."""
    others: int
    """Number of images of other classes with the mark, of ``of_others``."""
    of_others: int


class Spread(Value):
    """Sizes of all images: pixels of the upright image's shorter and longer side."""

    min: int
    p5: int
    median: int
    p95: int
    max: int


class Finding(Value):
    """One finding in one sentence. ``serious``: no build is possible, its figures would mislead, or it lacks files."""

    kind: Literal[
        "leak", "contradiction", "copies", "alike", "unreadable", "imbalance", "names", "roles", "stored-turned", "animated",
        "transparent", "wide-pixels", "mixed-modes", "ignored", "skipped", "marked-class", "one-pixel", "cut-off", "links-out",
    ]  # fmt: skip
    serious: bool
    sentence: str


class DataInspection(Value):
    """``edgecnn data inspect FOLDER``, schema edgecnn.inspection/2. No network is involved."""

    schema_: Literal["edgecnn.inspection/2"] = Field(default="edgecnn.inspection/2", alias="schema")
    version: str
    root: str
    images: int
    """Number of readable images."""
    bytes: int
    classes: tuple[ClassCount, ...]
    multi_label: bool = Field(default=False, exclude_if=lambda several: not several)
    """Whether images have any number of labels, so the counts do not add up."""
    roles: Mapping[SplitRole, int] | None
    """Roles in a build with the default shares and seed; None if it could not draw them."""
    roles_from: str
    """One sentence: the role of each folder, or why none can be drawn."""
    grouping: Grouping | None = Field(default=None, exclude_if=lambda grouping: grouping is None)
    """None without ``--group-by``."""
    unreadable: tuple[FileProblem, ...]
    copies: tuple[Alike, ...]
    """Files with the same bytes."""
    near: tuple[Alike, ...]
    """Different bytes that look alike: encoded again, resized or slightly cropped."""
    imbalance: float
    """Ratio of images between the largest and the smallest class."""
    name_slips: tuple[NameSlip, ...]
    short_side_px: Spread
    long_side_px: Spread
    formats: Mapping[str, int]
    modes: Mapping[str, int]
    """Mode of stored pixels, by Pillow's names: RGB, L, CMYK, I;16, …"""
    grey_levels: tuple[int, int] | None = Field(default=None, exclude_if=lambda levels: levels is None)
    """The darkest and the lightest value of all 16-bit grey images."""
    orientations: Mapping[str, int]
    """EXIF orientation 1 to 8; all but 1 are turned upright."""
    class_marks: tuple[ClassMark, ...] = Field(default=(), exclude_if=lambda marks: not marks)
    """Classes that a network could recognise by how their files were made."""
    one_pixel: tuple[str, ...] = Field(default=(), exclude_if=lambda paths: not paths)
    """Images with a side of 1 pixel."""
    cut_off: tuple[str, ...] = Field(default=(), exclude_if=lambda paths: not paths)
    """JPEG files that end properly, but whose lower part is empty."""
    transparent: int
    animated: int
    """Images with several frames or pages, of which the first is used."""
    ignored: tuple[str, ...]
    """Folders next to the classes or splits that are neither."""
    skipped_images: tuple[SkippedImages, ...] = Field(default=(), exclude_if=lambda skipped: not skipped)
    """Hidden folders, folders of tools, and images outside the class folders."""
    links_out: LinkedImages | None = Field(default=None, exclude_if=lambda links: links is None)
    findings: tuple[Finding, ...]
    seconds: float
    contact_sheet: str | None = None
