"""Which images there are, where they come from and in which roles, by content; and what was found in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from edgecnn.errors.wording import and_more, counted, plural
from edgecnn.values.base import Value
from edgecnn.values.stage import Key, digest_of


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
    """A folder with one sub-folder for each class, or with train/, val/ and test/, or of IDX files, or of images with a label
    file; a CSV, TSV, JSON Lines or Parquet list; a zip or tar of a folder; torchvision:NAME; or demo."""
    path_column: ColumnName | None = None
    """The column of a list with the paths of the images. Unset: path, or another usual name such as file_name."""
    label_column: ColumnName | None = None
    """The column of a list with the class of each image; columns that no option names are then ignored. Unset: label, or another
    usual name such as class, or the only other column."""
    label_separator: LabelSeparator | None = None
    """The separator of several labels in one cell: blank or comma. none: each cell is one label. Unset: the column label has one
    label; labels in a column labels are separated by | or ;."""
    path_suffix: PathSuffix | None = None
    """Suffix to add to each path of a list, such as .jpg. Unset: none, or the suffix of the existing files."""
    image_root: str | None = None
    """The folder that paths of a list are relative to. Unset: the list's own folder."""


SplitRole = Literal["train", "calibration", "validation", "test"]
UNLABELLED = -1
_NAMED = 10
SPLIT_ROLES: tuple[SplitRole, ...] = ("train", "calibration", "validation", "test")


class Fold(Value):
    """One of the parts that take turns as test images."""

    number: int
    """From 1."""
    of: int

    def part_of(self, count: int, number: int | None = None) -> tuple[int, int]:
        """Where the part begins and ends among ``count`` images in their order; parts differ by one image at most.

        ``number``: of another fold than this one.
        """
        place = self.number if number is None else number
        return count * (place - 1) // self.of, count * place // self.of


class ImageEntry(Value):
    """One image: where it is under the manifest's root, its class index, its role and its bytes' digest."""

    path: str
    label: int
    """``UNLABELLED`` where nobody said what it shows."""
    role: SplitRole
    sha256: str
    labels: tuple[int, ...] | None = Field(default=None, exclude_if=lambda labels: labels is None)
    """Of a multi-label data set, in place of ``label``, which is then ``UNLABELLED``: all that it shows, ascending, or none."""
    group: str | None = Field(default=None, exclude_if=lambda group: group is None)
    """What it has in common with others, by ``data.group_by``."""

    @property
    def shown(self) -> str:
        """Its label, or its labels, as the digest of a data set has them."""
        return str(self.label) if self.labels is None else f"[{','.join(map(str, self.labels))}]"


class DataManifest(Value):
    """Every image of a data set."""

    schema_: Literal["edgecnn.data/2"] = "edgecnn.data/2"
    origin: Literal["demo", "folder"]
    root: str
    classes: tuple[str, ...]
    """Empty where the images have no labels."""
    images: tuple[ImageEntry, ...]
    skipped: tuple[str, ...] = ()
    """Files that are no readable image, with the reason."""
    copies: tuple[str, ...] = ()
    """Images left out because the same bytes stand in another split or under another class."""

    @property
    def multi_label(self) -> bool:
        """Whether each image has any number of labels, and not one class."""
        return any(image.labels is not None for image in self.images[:1])

    @property
    def content(self) -> Key:
        """The digest that names data, wherever its root is: over classes and, in order, each image as it is listed."""
        rows = [f"{image.shown} {image.role} {image.sha256} {image.path}" for image in self.images]
        groups = {"groups": [image.group for image in self.images]} if any(image.group for image in self.images) else {}
        return digest_of({"classes": self.classes, "images": rows, **groups})


class Grouping(Value):
    """What ``data.group_by`` came to: no group is on two sides of a build's roles.

    Train and calibration are one side; where nothing is trained, calibration is a side of its own.
    """

    by: str
    groups: int
    """Different ones among the images that are used."""
    largest: str
    largest_images: int
    alone: int
    """Images in which no group was found: each is one by itself."""
    off: tuple[str, ...] = ()
    """Shares that whole groups have made other than they were asked for, a clause each."""

    @property
    def sentence(self) -> str:
        """As plans and reports have it."""
        parts = [f"split by group ('{self.by}'): {counted(self.groups, 'group')}, none on two sides"]
        if self.alone:
            parts.append(f"{counted(self.alone, 'image')} of no group {plural(self.alone, 'counts as one', 'count as one each')}")
        return "; ".join((*parts, *self.off))


SkippedBecause = Literal["hidden", "left by a tool", "not in a class folder", "not in the list"]


class SkippedImages(Value):
    """A file or folder inside the user's that holds images by their names and that no build reads. ``path``: from the root."""

    path: str
    images: int
    why: SkippedBecause


class RoleSummary(Value):
    """The images of one role, summed up: enough to say what changed between two builds."""

    content: Key
    """Digest over the images and their labels, whatever their order and paths."""
    by_class: tuple[int, ...]
    """Images of each class, in the order of ``DataSummary.classes``; of several labels, images with each label."""


class DataTotals(Value):
    """How many images a build has, and which, without the name of a file, a folder or a group: it may be committed to Git."""

    content: Key
    classes: tuple[str, ...]
    counts: Mapping[SplitRole, int]
    roles: Mapping[SplitRole, RoleSummary] = Field(default={}, exclude_if=lambda roles: not roles)
    """All four, or none of an older version."""

    @model_validator(mode="after")
    def _complete(self) -> DataTotals:
        if self.roles and set(self.roles) != set(SPLIT_ROLES):
            raise ValueError("roles: all four or none")
        if any(len(role.by_class) != len(self.classes) for role in self.roles.values()):
            raise ValueError("roles: one number for each class")
        return self


class DataSummary(Value):
    """What planning needs of a manifest, without its 100,000 lines."""

    origin: Literal["demo", "folder"]
    root: str
    content: Key
    """Digest of classes and images; the key under which stages name this data."""
    manifest_path: str
    classes: tuple[str, ...]
    counts: Mapping[SplitRole, int]
    roles: Mapping[SplitRole, RoleSummary] = Field(default={}, exclude_if=lambda roles: not roles)
    """Empty in a plan of an older version."""
    skipped: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    splits_from: str
    """One sentence: which folder became which role."""
    grouping: Grouping | None = Field(default=None, exclude_if=lambda grouping: grouping is None)
    """None where ``data.group_by`` is unset."""
    own_roles: tuple[SplitRole, ...] = Field(default=(), exclude_if=lambda roles: not roles)
    """Those that are a whole split of the user's; images of the others are drawn."""
    multi_label: bool = Field(default=False, exclude_if=lambda multi_label: not multi_label)
    """Whether each image has any number of labels, which ``classes`` names, and not one class."""

    @property
    def totals(self) -> DataTotals:
        """The part that compares two builds."""
        return DataTotals(content=self.content, classes=self.classes, counts=self.counts, roles=self.roles)

    @property
    def class_names(self) -> str:
        """How many classes or labels there are, and what the first ones are called; empty where the images have no labels."""
        if not self.labelled:
            return ""
        names = ", ".join(self.classes[:_NAMED]) + and_more(len(self.classes), _NAMED)
        return f"{len(self.classes):,} {'labels, any number an image' if self.multi_label else 'classes'} ({names})"

    @property
    def labelled(self) -> bool:
        """False where nobody said what the images show: then nothing is known but whether two networks agree."""
        return bool(self.classes)


class DataChange(Value):
    """What differs between the images of two builds."""

    images: tuple[int, int]
    """In all, before and now."""
    classes: Mapping[str, tuple[int, int]]
    """Images of each class whose number changed, before and now; empty where an older plan does not say."""
    roles: Mapping[SplitRole, tuple[int, int]]
    """Images of each role, before and now."""
    unchanged: tuple[SplitRole, ...] | None
    """Roles that hold the same images with the same labels; None where an older plan does not say."""
    renamed: Mapping[str, str] = Field(default={}, exclude_if=lambda renamed: not renamed)
    """Classes that have another name now, where images and labels are the same."""

    @classmethod
    def between(cls, before: DataTotals, now: DataTotals) -> DataChange | None:
        """None where both are the same images in the same roles."""
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


class DataDivision(Value):
    """``edgecnn data split FOLDER --out FOLDER``, schema edgecnn.division/2."""

    schema_: Literal["edgecnn.division/2"] = Field(default="edgecnn.division/2", alias="schema")
    version: str
    root: str
    out: str
    seed: int
    content: Key
    """Of the folder that was divided, as a build names it."""
    images: Mapping[Literal["train", "validation", "test"], int]
    roles: Mapping[SplitRole, int]
    """As a build draws them, of either folder: train/ holds train and calibration."""
    roles_from: str
    linked: bool
    """Hard links: both names are one file, and whoever writes into one changes the other."""
    skipped: tuple[str, ...]
    """Files that are no readable image, with the reason."""
    copies: tuple[str, ...]
    """Left out: the same bytes stand in another split or under another class."""


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
    """Files that hold the same bytes, or pictures that look alike."""

    paths: tuple[str, ...]
    classes: tuple[str, ...]
    """Of these files; more than one is a contradiction."""
    roles: tuple[SplitRole, ...]
    """That a build would give them; more than one is a leak. Empty where it would use none of them."""


class NameSlip(Value):
    """Two classes whose names nobody would tell apart on purpose."""

    one: str
    other: str
    why: str


MarkKind = Literal["mode", "format", "size"]


class ClassMark(Value):
    """All images of a class have one mode, format or size, and few of the other images have it."""

    name: str
    kind: MarkKind
    value: str
    images: int
    """Of the class."""
    others: int
    """Images of other classes with the same mark, of ``of_others``."""
    of_others: int


class Spread(Value):
    """Of all images, in pixels of the upright picture's shorter and longer side."""

    min: int
    p5: int
    median: int
    p95: int
    max: int


class Finding(Value):
    """One thing to know, in one sentence. ``serious``: no build is possible, its figures would mislead, or it lacks files."""

    kind: Literal[
        "leak", "contradiction", "copies", "alike", "unreadable", "imbalance", "names", "roles", "stored-turned", "animated",
        "transparent", "wide-pixels", "mixed-modes", "ignored", "skipped", "marked-class", "one-pixel",
    ]  # fmt: skip
    serious: bool
    sentence: str


class DataInspection(Value):
    """``edgecnn data inspect FOLDER``, schema edgecnn.inspection/2. Nothing here is an opinion of a network."""

    schema_: Literal["edgecnn.inspection/2"] = Field(default="edgecnn.inspection/2", alias="schema")
    version: str
    root: str
    images: int
    """Readable ones."""
    bytes: int
    classes: tuple[ClassCount, ...]
    multi_label: bool = Field(default=False, exclude_if=lambda several: not several)
    """Whether an image has any number of these, so that their images do not add up."""
    roles: Mapping[SplitRole, int] | None
    """As a build with the default shares and seed would draw them; None where it could not."""
    roles_from: str
    """One sentence: which folder became which role, or why none can be drawn."""
    grouping: Grouping | None = Field(default=None, exclude_if=lambda grouping: grouping is None)
    """None where no ``--group-by`` was given."""
    unreadable: tuple[FileProblem, ...]
    copies: tuple[Alike, ...]
    """The same bytes more than once."""
    near: tuple[Alike, ...]
    """Other bytes, and yet alike: encoded again, made smaller, hardly cropped."""
    imbalance: float
    """Images of the largest class over those of the smallest."""
    name_slips: tuple[NameSlip, ...]
    short_side_px: Spread
    long_side_px: Spread
    formats: Mapping[str, int]
    modes: Mapping[str, int]
    """Pixels as stored, in Pillow's words: RGB, L, CMYK, I;16, …"""
    grey_levels: tuple[int, int] | None = Field(default=None, exclude_if=lambda levels: levels is None)
    """The darkest and the lightest among all pictures of 16-bit grey."""
    orientations: Mapping[str, int]
    """EXIF's 1 to 8; every one but 1 is turned upright."""
    class_marks: tuple[ClassMark, ...] = Field(default=(), exclude_if=lambda marks: not marks)
    """Classes that a network can tell by how their files were made."""
    one_pixel: tuple[str, ...] = Field(default=(), exclude_if=lambda paths: not paths)
    """Images with a side of 1 pixel."""
    transparent: int
    animated: int
    """Of an animation the first frame is used."""
    ignored: tuple[str, ...]
    """Folders next to the classes or splits that are none."""
    skipped_images: tuple[SkippedImages, ...] = Field(default=(), exclude_if=lambda skipped: not skipped)
    """Hidden folders, those of tools, and images outside of the class folders."""
    findings: tuple[Finding, ...]
    seconds: float
    contact_sheet: str | None = None
