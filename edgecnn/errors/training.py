"""Failures while a network is trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ExitCode
from edgecnn.errors.wording import counted


class TrainingDiverged(EdgecnnError):
    """Raised when the loss or an answer is no number any more. The last good checkpoint stays in the training's folder."""

    def __init__(self, *, phase: str, epoch: int, batch: int, kept: str | None, rate: tuple[str, float]) -> None:
        """``kept``: what is kept and where, None where nothing is; ``rate``: of the head, and the recipe's key that sets it."""
        setting, value = rate
        super().__init__(
            what=f"training diverged in phase {phase}, epoch {epoch}, batch {batch}",
            because="the loss or an answer after it is not a finite number" + (f"; {kept}" if kept else ""),
            hint=f"--set {setting}={value / 3:.1g}, a third of what it was",
        )


class BatchTooLarge(EdgecnnError):
    """Raised before a phase whose batches cannot fit into memory, or where memory ran out in it."""

    def __init__(self, *, batch: int, needed_mib: float, room: tuple[str, float], fits: int, ran_out: bool = False) -> None:
        """``room``: cpu or gpu, and the MiB that it has."""
        on_gpu, limit_mib = room[0] == "gpu", room[1]
        less = "--set model.resolution_px with a smaller one, or a machine with more memory"
        held = f"the GPU has {limit_mib:,.0f} free" if on_gpu else f"this process may hold {limit_mib:,.0f}"
        foreseen = f"it takes {needed_mib:,.0f} MiB at least, and {held}"
        smaller = f"--set train.batch_size={fits}" if fits >= 2 else less
        super().__init__(
            what=f"a batch of {batch} images does not fit into memory",
            because=f"memory ran out; {foreseen}" if ran_out else foreseen,
            hint=f"{smaller}; or --set train.device=cpu" if on_gpu else smaller,
        )


class TooManyProcesses(EdgecnnError):
    """Raised before a training that would be shared by more processes than it has threads."""

    def __init__(self, *, asked: int, threads: int) -> None:
        super().__init__(
            what=f"train.processes={asked} asks for more processes than can work at once",
            because=f"training uses {counted(threads, 'thread')} (train.threads)",
            hint=f"--set train.processes={threads}, or --set train.threads={asked}",
        )


class BatchTooSmallToShare(EdgecnnError):
    """Raised before a training in which a process would be shown too few images of a batch."""

    def __init__(self, *, processes: int, images: int, least: int) -> None:
        fits = images // least
        fewer = f"--set train.processes={fits}" if fits > 0 else "--set train.processes=1"
        super().__init__(
            what=f"a batch of {images} images is too small for train.processes={processes}",
            because=f"each process takes {least} of every batch at least",
            hint=f"{fewer}, or a larger train.batch_size",
        )


class NothingToShare(EdgecnnError):
    """Raised in resolve where several processes are asked for and the whole network is not trained, or not by processors."""

    def __init__(self, *, processes: int, beside: str, gpu: bool = False) -> None:
        none = "processes share the training of the whole network, and there is none"
        super().__init__(
            what=f"train.processes={processes} does not go with {beside}",
            because="processes divide this machine's processors among them, and a GPU is used by one" if gpu else none,
            hint="leave one of them out",
        )


class NoGpuToTrainOn(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised where a GPU is to train and there is none that torch can use."""

    def __init__(self, *, because: str) -> None:
        super().__init__(
            what="train.device=gpu needs an NVIDIA GPU that torch can use",
            because=because,
            hint="--set train.device=cpu; `edgecnn doctor` says what is here",
        )


class NoDistributedTorch(EdgecnnError, exit_code=ExitCode.MISSING):
    """Raised where several processes are to train and torch was built without what they talk by."""

    def __init__(self, *, version: str) -> None:
        super().__init__(
            what="train.processes needs torch.distributed with gloo",
            because=f"torch {version} was built without",
            hint="pip install --force-reinstall torch, or --set train.processes=1",
        )


class ProcessesLost(EdgecnnError, exit_code=ExitCode.OWN_FAULT):
    """Raised when a process that trained with others was lost more often than they are begun anew. Finished epochs are kept."""

    def __init__(self, *, processes: int, restarts: int, phase: str, said: str) -> None:
        again = f", and again after each of {restarts} new starts" if restarts else ""
        super().__init__(
            what=f"one of {processes} training processes was lost in phase {phase}{again}",
            because=said,
            hint="the same command goes on from the last finished epoch; fewer train.processes take less memory",
        )


class NothingToTrainOn(EdgecnnError):
    """Raised when the manifest has no image in the role ``train``, or none in ``validation`` to judge epochs by."""

    def __init__(self, *, role: str) -> None:
        super().__init__(
            what=f"there is no image in the role {role}", hint="add images, or lower [data] calibration_images and the shares"
        )


class ClassesDiffer(EdgecnnError):
    """Raised when the images have other classes than the stage was asked to train for: the plan and the data disagree."""

    def __init__(self, *, planned: int, found: int) -> None:
        super().__init__(
            what=f"the plan trains for {planned} classes, the images have {found}",
            because="the data changed after they were listed",
            hint="run the same command again",
        )


class ClassTooSmall(EdgecnnError):
    """Raised before a cross-validation in which a class could not be both learned and tried."""

    def __init__(self, *, name: str, images: int) -> None:
        super().__init__(
            what=f"class {name} has {counted(images, 'training image')}",
            because="a linear probe learns from some images of a class and is tried on others, so it takes 2 at least",
            hint="add images of it, or force the choice: --transfer head",
        )


class NothingToTransfer(EdgecnnError):
    """Raised in resolve where part of a pretrained network is to be kept and training begins from random weights."""

    def __init__(self, *, arch: str, asked: str, why: str) -> None:
        super().__init__(
            what=f"--transfer {asked} keeps pretrained layers of {arch}, and there are none",
            because=why,
            hint="--transfer auto or scratch, or --weights with weights that can be had",
        )


class WeightsNotWanted(EdgecnnError):
    """Raised in resolve where weights are named that training from scratch would not read."""

    def __init__(self, *, weights: str) -> None:
        super().__init__(what=f"--transfer scratch keeps nothing of --weights {weights}", hint="leave one of them out")


class NothingToUnfreeze(EdgecnnError):
    """Raised in resolve where layers are to begin learning one after another and no frozen ones are fine-tuned."""

    def __init__(self, *, beside: str, because: str) -> None:
        super().__init__(what=f"train.unfreeze=groups does not go with {beside}", because=because, hint="leave one of them out")


class NothingFromScratch(EdgecnnError):
    """Raised in resolve where a recipe for random weights is stated and training begins from pretrained ones."""

    def __init__(self, *, recipe: str) -> None:
        super().__init__(
            what=f"train.scratch={recipe} would change nothing",
            because="it says how random weights are trained, and training begins from pretrained ones",
            hint="leave it out, or --transfer scratch",
        )


class NothingInEpochs(EdgecnnError):
    """Raised in resolve where passes of the whole network are asked for and only its head learns."""

    def __init__(self, *, epochs: int, beside: str, instead: str) -> None:
        super().__init__(
            what=f"train.epochs={epochs} does not go with {beside}",
            because=f"these are passes of the whole network, of which the head alone learns; {instead}",
            hint="leave one of them out; --set train.epochs=0 beside a recipe that states them",
        )


class NothingInPrecision(EdgecnnError):
    """Raised in resolve where steps of the whole network are to compute in another precision and it takes none."""

    def __init__(self, *, precision: str, beside: str) -> None:
        super().__init__(
            what=f"train.precision={precision} does not go with {beside}",
            because="it is that of the whole network's steps, and there are none",
            hint="leave one of them out",
        )


class HeadNotFitting(EdgecnnError):
    """Raised in resolve where a head that is fitted on frozen features is asked for beside what would change them."""

    def __init__(self, *, head: str, beside: str, because: str) -> None:
        super().__init__(
            what=f"train.head={head} does not go with {beside}",
            because=because,
            hint="--set train.head=linear, or leave the other out",
        )


class HeadNotAlone(EdgecnnError):
    """Raised in resolve where one last layer is to learn on frozen features, and the network answers by several."""

    def __init__(self, *, arch: str, heads: Sequence[str], asked: str) -> None:
        super().__init__(
            what=f"{asked} does not go with {arch}",
            because=f"its answer is that of several last layers together: {', '.join(heads)}",
            hint="leave it out, so that the whole network learns, or --transfer last",
        )


class NothingToReplace(EdgecnnError):
    """Raised before anything is trained, where a network lacks what surgery is asked to take out."""

    def __init__(self, *, arch: str, setting: str, lacks: str, has: str | None, fitting: Sequence[str]) -> None:
        name, taken = setting.partition("=")[0], f"surgery.{setting} takes {lacks} out of {arch}"
        super().__init__(
            what=f"{taken}, whose blocks are timm's own" if has is None else f"{taken}, which has none",
            because="edgecnn exchanges layers of torchvision's and of its own alone" if has is None else f"it has {has}",
            hint=f"--set surgery.{name}=keep, or a network that has {lacks}: {', '.join(fitting)}",
        )


class NothingToPrune(EdgecnnError):
    """Raised before anything is trained, where channels of a network are to go of which nobody knows that they can."""

    def __init__(self, *, arch: str, share: float, families: Sequence[str]) -> None:
        super().__init__(
            what=f"surgery.pruned={share:g} takes channels out of {arch}, which is none of the families that this was tried of",
            because=f"these are {', '.join(families)}",
            hint="--set surgery.pruned=0, or a network of one of these: edgecnn list archs",
        )


class SurgeryOfNothing(EdgecnnError):
    """Raised before anything is trained, where a changed network is to take the place of another and no change is stated."""

    def __init__(self) -> None:
        super().__init__(
            what="surgery.instead asks for a changed network, and nothing of it is changed",
            because="activation and squeeze_excite are keep, and pruned is 0",
            hint="--set surgery.pruned=0.3, or another of the three; or --set surgery.instead=false",
        )


class NothingChangesHere(EdgecnnError):
    """Raised before anything is trained, where a changed network is to take the place of one that cannot learn anew."""

    def __init__(self, *, because: str, command: str | None) -> None:
        super().__init__(what="surgery.instead asks for a changed network, and none can be had", because=because, hint=command)


class NoTeacher(EdgecnnError):
    """Raised in resolve where the folder that is to teach holds no trained network, or the network that is to has no weights."""

    def __init__(self, *, named: Path | str, because: str, hint: str) -> None:
        super().__init__(what=f"{named} cannot teach", because=because, hint=hint)


class TeacherSawOtherImages(EdgecnnError):
    """Raised in resolve where a build of other images is to teach: what judges here may have taught there."""

    def __init__(self, *, folder: Path, theirs: str, ours: str) -> None:
        super().__init__(
            what=f"{folder} cannot teach from {theirs} what is judged by {ours}",
            because="its images, classes, roles or groups are others, so that images which judge here may have taught it",
            hint="build the teacher on the same --data, or name a network of the list, which is trained on it",
        )


class TeacherNotFitting(EdgecnnError):
    """Raised in resolve where a teacher is asked for beside what would leave it unheard."""

    def __init__(self, *, beside: str, because: str) -> None:
        super().__init__(what=f"train.teacher does not go with {beside}", because=because, hint="leave one of them out")


class FoldsNotFitting(EdgecnnError):
    """Raised when cross-validation is asked for beside what leaves it nothing to show."""

    def __init__(self, *, folds: int, beside: str, because: str) -> None:
        super().__init__(
            what=f"train.folds={folds} does not go with {beside}",
            because=because,
            hint=f"leave train.folds or {beside} out",
        )
