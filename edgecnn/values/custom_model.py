"""A custom model, which a user has as a file: what was found in it, and how it turned out to want its images."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt

from edgecnn.values.base import Value
from edgecnn.values.preprocessing import Normalization, PixelRecipe, Resolution
from edgecnn.values.stage import Key

Channels = Literal["rgb", "bgr", "grey"]
"""grey: ITU-R BT.601's luma of the three, 0.299, 0.587 and 0.114 of them, which is Pillow's and OpenCV's."""
TorchForm = Literal["torch.export", "TorchScript"]
"""Of a file that torch runs, and that is exported to ONNX on its way."""


class OutputSteps(Value):
    """How integers of an output become numbers: (integer - zero) · scale."""

    scale: float
    zero: int


class GraphEntry(Value):
    """The two ends of a model file, as they stand in it."""

    input: str
    """Name of the tensor that takes images."""
    layout: Literal["NCHW", "NHWC"]
    dtype: Literal["float32", "float16", "uint8"]
    resolution_px: Resolution
    colours: Literal[1, 3] = Field(default=3, exclude_if=lambda colours: colours == 3)
    """Channels of its input; of one, grey."""
    batch: PositiveInt | None
    """Images in a call where the file fixes that; None where it takes any number."""
    output: str
    classes: PositiveInt
    ends_in_softmax: bool
    ends_in_sigmoid: bool = Field(default=False, exclude_if=lambda ends: not ends)
    """Of a multi-label network that answers with probabilities, as one is taken whose images are not of one class each. Left out
    of the key of any other."""
    ends_in_shares: bool = Field(default=False, exclude_if=lambda ends: not ends)
    """Its answers are probabilities, and no softmax that could be left out makes them; of one class an image sigmoids too. The
    trunk answers with their logarithm, with ``ends_in_sigmoid`` with that of their odds."""
    one_share: bool = Field(default=False, exclude_if=lambda is_one: not is_one)
    """Its output is one number an image, which a sigmoid makes: the share of the second of two classes."""
    output_steps: OutputSteps | None = Field(default=None, exclude_if=lambda steps: steps is None)
    """Of an output of integers, as the last QuantizeLinear states them; None where the output is floating point."""
    opset: PositiveInt
    quantized: Literal["Q/DQ", "QOperator"] | None = Field(default=None, exclude_if=lambda form: form is None)
    """The form in which it came quantized; None of a float network, whose keys hold no word of it."""
    form: TorchForm | None = Field(default=None, exclude_if=lambda form: form is None)
    """None of an ONNX file, whose keys hold no word of it."""


class Feeding(Value):
    """One way of turning a photograph into what a model was trained on."""

    name: str
    """As ``[preprocessing] like`` calls it; ``given``, or ``given-bgr``, for a user's own numbers."""
    pixels: PixelRecipe
    normalization: Normalization
    """In RGB order, whatever ``channels`` says."""
    channels: Channels = "rgb"
    """bgr: blue comes first in the model's own input."""

    def describe(self) -> str:
        """As a reader is told."""
        scale = ", ".join(f"{mean:g}/{std:g}" for mean, std in zip(self.normalization.mean, self.normalization.std, strict=True))
        order = {"rgb": "", "bgr": ", blue first", "grey": ", grey"}[self.channels]
        return f"{self.name} (mean/std {scale}{order}; {self.pixels.describe()})"


class FeedingTrial(Value):
    """How often the model was right when it was fed in one way."""

    feeding: Feeding
    right: int
    images: int


class CustomModel(Value):
    """Everything that planning needs of a custom model."""

    path: str
    """Where it lies, absolute."""
    content: Key
    """Of the file and of the weights beside it: the key under which stages name it."""
    entry: GraphEntry
    parameters: PositiveInt
    feeding: Feeding
    stated_by: Literal["recipe", "file", "search"]
    trials: tuple[FeedingTrial, ...] = ()
    """What was tried, the best first. The images are of the role ``validation``."""
    rivals: tuple[str, ...] = ()
    """Other normalizations that these images cannot tell from the one that was taken."""
    source: str | None = Field(default=None, exclude_if=lambda source: source is None)
    """Which file states it, where ``stated_by`` is file."""
    notes: tuple[str, ...] = Field(default=(), exclude_if=lambda notes: not notes)
    """What is stated in or next to the file and not taken."""
    at_chance: float | None = Field(default=None, exclude_if=lambda level: level is None)
    """The accuracy of always answering the most frequent class of these images, 0…1, where the model is not shown to beat it when
    it is fed as ``feeding`` says. None where it does."""

    @property
    def why(self) -> str:
        """One sentence on how its preprocessing is known, and on answers that are no logits."""
        notes = "".join(f"; {note}" for note in self.notes)
        return (
            self._feeding_known
            + notes
            + (
                "; its outputs are probabilities, which a kit divides by their sum"
                * (self.entry.ends_in_shares and not self.entry.ends_in_sigmoid)
            )
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
