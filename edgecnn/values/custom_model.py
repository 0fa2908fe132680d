"""A user's custom model: its description, and how it expects its images."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from edgecnn.values.base import Value
from edgecnn.values.preprocessing import Normalization, PixelRecipe, Resolution
from edgecnn.values.stage import Key

Channels = Literal["rgb", "bgr", "grey"]
"""grey: ITU-R BT.601's luma of the three colours (0.299, 0.587, 0.114), as in Pillow and OpenCV."""
TorchForm = Literal["torch.export", "TorchScript"]
"""Form of a file that torch runs and that is exported to ONNX."""


class OutputSteps(Value):
    """How integer outputs become numbers: (integer - zero) · scale."""

    scale: float
    zero: int


class GraphEntry(Value):
    """The input and output of a model file."""

    input: str
    """Name of the image input."""
    layout: Literal["NCHW", "NHWC"]
    dtype: Literal["float32", "float16", "uint8"]
    resolution_px: Resolution
    colours: Literal[1, 3] = Field(default=3, exclude_if=lambda colours: colours == 3)
    """Channels of its input; 1 is grey."""
    batch: PositiveInt | None
    """Images in a call if the file fixes that; None if any number is accepted."""
    output: str
    classes: PositiveInt
    ends_in_softmax: bool
    ends_in_sigmoid: bool = Field(default=False, exclude_if=lambda ends: not ends)
    """Whether a model that outputs probabilities is multi-label, which is assumed if its images are not single-label. Omitted
    from other models' keys."""
    ends_in_shares: bool = Field(default=False, exclude_if=lambda ends: not ends)
    """Whether its outputs are probabilities without a removable softmax, or sigmoids with one class an image. The trunk then
    outputs their logarithm; with ``ends_in_sigmoid``, the logarithm of their odds."""
    share_total: PositiveFloat = Field(default=1.0, exclude_if=lambda total: total == 1)
    """Sum of an image's probabilities if the file multiplies its softmax: 100 for percentages."""
    one_share: bool = Field(default=False, exclude_if=lambda is_one: not is_one)
    """Whether its output is one number an image from a sigmoid: the probability of the second of two classes."""
    output_steps: OutputSteps | None = Field(default=None, exclude_if=lambda steps: steps is None)
    """Scale of an integer output, from the last QuantizeLinear; None for floating point."""
    opset: PositiveInt
    quantized: Literal["Q/DQ", "QOperator"] | None = Field(default=None, exclude_if=lambda form: form is None)
    """How it was quantized; None for a float network, whose keys omit it."""
    form: TorchForm | None = Field(default=None, exclude_if=lambda form: form is None)
    """None for an ONNX file, whose keys omit it."""


class Feeding(Value):
    """One preprocessing of images for the model."""

    name: str
    """Name in ``[preprocessing] like``; ``given``, or ``given-bgr``, for a user's own numbers."""
    pixels: PixelRecipe
    normalization: Normalization
    """In RGB order, regardless of ``channels``."""
    channels: Channels = "rgb"
    """bgr: the model's input starts with blue."""

    def describe(self) -> str:
        """Describe the preprocessing for readers."""
        scale = ", ".join(f"{mean:g}/{std:g}" for mean, std in zip(self.normalization.mean, self.normalization.std, strict=True))
        order = {"rgb": "", "bgr": ", blue first", "grey": ", grey"}[self.channels]
        return f"{self.name} (mean/std {scale}{order}; {self.pixels.describe()})"


class FeedingTrial(Value):
    """How often the model was right with one preprocessing."""

    feeding: Feeding
    right: int
    images: int


class CustomModel(Value):
    """Facts of a custom model for planning."""

    path: str
    """Absolute path."""
    content: Key
    """Digest of the file and its external weights: the key by which stages identify it."""
    entry: GraphEntry
    parameters: PositiveInt
    feeding: Feeding
    stated_by: Literal["recipe", "file", "search"]
    trials: tuple[FeedingTrial, ...] = ()
    """Preprocessings that were tried, the best first, on images of the role ``validation``."""
    rivals: tuple[str, ...] = ()
    """Other normalizations that these images cannot distinguish from the chosen one."""
    source: str | None = Field(default=None, exclude_if=lambda source: source is None)
    """The file that states the preprocessing, if ``stated_by`` is file."""
    notes: tuple[str, ...] = Field(default=(), exclude_if=lambda notes: not notes)
    """Settings in or next to the file that were not used."""
    at_chance: float | None = Field(default=None, exclude_if=lambda level: level is None)
    """Accuracy of always predicting the most frequent class of these images, 0…1, if the model is not shown to beat it with
    ``feeding``. None if it does."""

    @property
    def why(self) -> str:
        """One sentence on the source of its preprocessing, and on outputs that are not logits."""
        notes = "".join(f"; {note}" for note in self.notes)
        return (
            self._feeding_known
            + notes
            + (
                "; its outputs are probabilities, which a kit divides by their sum"
                * (self.entry.ends_in_shares and not self.entry.ends_in_sigmoid)
            )
            + (f"; its outputs sum to {self.entry.share_total:g}, and those of a kit to 1" if self.entry.share_total != 1 else "")
        )

    @property
    def _feeding_known(self) -> str:
        if not self.trials:
            unproved = "not proved, because no image has a known class"
            return f"preprocessing {self.feeding.describe()}, as {self._stating} states; {unproved}"
        taken = next(trial for trial in self.trials if trial.feeding == self.feeding)
        proved = f"right on {taken.right} of {taken.images} images"
        known = f"found by trying {len(self.trials)}" if self.stated_by == "search" else f"as {self._stating} states"
        others = [trial for trial in self.trials if trial.feeding.name != taken.feeding.name]
        beside = f"; best other {others[0].feeding.name}: {others[0].right}" if others else ""
        open_ = f"; NOT TOLD APART from {', '.join(self.rivals)} by so few images" if self.rivals else ""
        return f"preprocessing {self.feeding.describe()}, {known}: {proved}{beside}{open_}{self._chance}"

    @property
    def _stating(self) -> str:
        return self.source or f"the {self.stated_by}"

    @property
    def _chance(self) -> str:
        if self.at_chance is None:
            return ""
        reached = f"always predicting the most frequent class is right on {round(self.at_chance * self.trials[0].images)}"
        return f"; NOT SHOWN TO BEAT CHANCE ({reached}): check the order of the classes (data.classes) and [preprocessing]"
