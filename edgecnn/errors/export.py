"""Failures of reading, making and checking the ONNX trunk."""

from __future__ import annotations

from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.wording import reason_in


class NotAnOnnxModel(EdgecnnError):
    """Raised when a file cannot be parsed as an ONNX model."""

    def __init__(self, *, path: Path, why: str) -> None:
        super().__init__(what=f"{path} is no ONNX model", because=why)


class ModelTooLarge(EdgecnnError):
    """Raised before a model of 2 GiB or more is read: one file of ONNX cannot hold it, and trying would take the memory first."""

    def __init__(self, *, path: Path, size: int) -> None:
        super().__init__(
            what=f"{path}: a model of {size / 2**30:.2f} GiB, weights included",
            because="an ONNX file ends at 2 GiB, and every candidate is made from one",
            hint="choose a smaller network; of the catalogue's none comes near",
        )


class OperatorMissing(EdgecnnError):
    """Raised when a runtime refuses a model for an operator that it does not have."""

    def __init__(self, *, path: Path, runtime: str, op: str, node: str | None, nearest: str | None) -> None:
        where = f" (node {node})" if node else ""
        hint = "the other candidates are built without this runtime; or write the network without that operator"
        super().__init__(
            what=f"{path}: {runtime} has no operator {op}{where}",
            hint=f"write it as {nearest}, which every runtime has" if nearest else hint,
        )


class ExternalDataOutside(EdgecnnError):
    """Raised when a model's weights lie outside its own folder: reading them would follow a path that somebody else wrote."""

    def __init__(self, *, path: Path, tensor: str, location: str) -> None:
        super().__init__(
            what=f"{path}: the weights {tensor!r} are said to lie at {location!r}, outside the model's folder",
            hint="save the model with its weights inside the file, or beside it",
        )


class ExternalDataMissing(EdgecnnError):
    """Raised when a model was copied or moved without the file that holds its weights."""

    def __init__(self, *, path: Path, location: str) -> None:
        super().__init__(
            what=f"{path} needs the file {location}, which is not in its folder",
            because="the model's weights are stored there",
            hint=f"copy {location} into {path.parent} too, from where the model was exported",
        )


class WrongOpset(EdgecnnError, exit_code=ExitCode.OWN_FAULT):
    """Raised when the exporter left another opset than the one asked for, which it does without saying so."""

    def __init__(self, *, wanted: int, found: int, exporter: str) -> None:
        super().__init__(
            what=f"{exporter} left ONNX opset {found} where {wanted} was asked for",
            hint=f"install a torch and onnxscript that write opset {wanted}; edgecnn's own ranges are tested",
        )


class ExportDisagrees(EdgecnnError, exit_code=ExitCode.OWN_FAULT):
    """Raised when the exported graph does not compute what the network computes on real images."""

    def __init__(self, *, max_abs_diff: float, allowed: float, images: int, top1_agreement: float) -> None:
        super().__init__(
            what=f"the exported graph differs from the network by {max_abs_diff:.3g} in a logit, {allowed:.3g} is allowed",
            because=f"on {images} images they name the same class for {top1_agreement:.1%}",
        )
        self.max_abs_diff, self.allowed = max_abs_diff, allowed


class MergeDiffers(EdgecnnError, exit_code=ExitCode.OWN_FAULT):
    """Raised when a network whose parallel branches were merged for shipping does not answer as the one that learned."""

    def __init__(self, *, network: str, off: float, allowed: float) -> None:
        super().__init__(
            what=f"{network} with its branches merged differs by {off:.3g} in a logit, {allowed:.3g} is allowed",
            because="they are merged by the library that the network is of",
        )


class RoundingDecides(EdgecnnError):
    """Raised when a network and its graph disagree, and the network about as much with itself in another precision."""

    def __init__(self, *, max_abs_diff: float, allowed: float) -> None:
        super().__init__(
            what=f"rounding decides what this network answers: in fp64 it differs from itself by {max_abs_diff:.3g} in a logit, "
            f"{allowed:.3g} is allowed",
            because="another runtime would answer otherwise again, as is usual of deep networks after a few steps of training",
            hint="if it trained shortly, train longer: --set train.epochs=...; where images are few, --set train.batch_size=...",
        )


class ProgramNotMade(EdgecnnError, exit_code=ExitCode.OWN_FAULT):
    """Raised when torch cannot export a network as a program of its own, whatever it says about it."""

    def __init__(self, *, error: Exception) -> None:
        text = reason_in(error)
        super().__init__(what="torch cannot export this network as a program", because=text)


class NetworkNotExported(EdgecnnError):
    """Raised when torch cannot trace a network or translate one of its operators, whatever it says about it."""

    def __init__(self, *, error: Exception) -> None:
        cause = error.__cause__ or error  # what the exporter's own error was caused by says more than it does
        said = next((line.strip() for line in str(cause).splitlines() if line.strip()), type(cause).__name__)
        super().__init__(
            what="torch cannot export this network to ONNX",
            because=reason_in(said),
            hint="take another network; of timm's, docs/howto/use-a-timm-network.md says which were tried",
        )


class MacsUnknown(EdgecnnError, exit_code=ExitCode.OWN_FAULT):
    """Raised when a layer's multiply-adds cannot be counted; a table without it would make every share wrong."""

    def __init__(self, *, node: str, op: str, tensor: str) -> None:
        super().__init__(
            what=f"the multiply-adds of {op} {node} cannot be counted",
            because=f"shape inference at batch 1 does not give the shape of {tensor!r}",
        )


ANEW = "export it anew with opset 20 and a dynamic batch"
REPORT = "report this with the file: the conversion here changed its answers"


class TrunkDisagrees(EdgecnnError):
    """Raised when the trunk made of a custom model answers real images otherwise than the model."""

    def __init__(self, *, path: Path, change: str, max_abs_diff: float, allowed: float, hint: str = ANEW) -> None:
        super().__init__(
            what=f"{path} cannot be built from",
            because=f"{change}, it differs by {max_abs_diff:.3g} in an answer, {allowed:.3g} is allowed",
            hint=hint,
        )


class OpsetUnreachable(EdgecnnError):
    """Raised when a model's operators cannot be had in an opset that the runtimes here read."""

    def __init__(self, *, path: Path, opset: int, wanted: int, because: str) -> None:
        super().__init__(
            what=f"{path} has ONNX opset {opset}, and cannot be converted to {wanted}",
            because=because,
            hint=f"export it anew with opset {wanted}",
        )
