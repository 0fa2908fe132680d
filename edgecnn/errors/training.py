"""Failures during training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors.base import EdgecnnError, ErrorRow, ExitCode


class FoldsNotFitting(EdgecnnError):
    """Cross-validation is combined with a setting that makes it meaningless."""


TRAINING_DIVERGED = ErrorRow(
    "training-diverged",
    "training diverged in phase {phase}, epoch {epoch}, batch {batch}",
    "the loss or an output is not a finite number{kept}",
    "try --set {setting}={rate:.1g}, a third of the value that was used",
)
BATCH_TOO_LARGE = ErrorRow(
    "batch-too-large", "a batch of {batch} images does not fit into memory", "{because}", "{hint}", also=("fits",)
)
TOO_MANY_PROCESSES = ErrorRow(
    "too-many-processes",
    "train.processes={asked} is more than the number of training threads",
    "training uses {threads:counted thread} (train.threads)",
    "pass --set train.processes={threads}, or --set train.threads={asked}",
)
BATCH_TOO_SMALL_TO_SHARE = ErrorRow(
    "batch-too-small-to-share",
    "a batch of {images} images is too small for train.processes={processes}",
    "each process needs at least {least} images of every batch",
    "pass --set train.processes={fits}, or a larger train.batch_size",
)
NOTHING_TO_SHARE = ErrorRow(
    "nothing-to-share", "train.processes={processes} cannot be combined with {beside}", "{because}", "remove one of them"
)
NO_GPU_TO_TRAIN_ON = ErrorRow(
    "no-gpu-to-train-on",
    "train.device=gpu needs an NVIDIA GPU that torch can use",
    "{because}",
    "pass --set train.device=cpu, or run `edgecnn doctor` to list the GPUs here",
    exit_code=ExitCode.MISSING,
)
NO_DISTRIBUTED_TORCH = ErrorRow(
    "no-distributed-torch",
    "train.processes needs torch.distributed with gloo",
    "torch {version} was built without gloo",
    "pip install --force-reinstall torch, or pass --set train.processes=1",
    exit_code=ExitCode.MISSING,
)
PROCESSES_LOST = ErrorRow(
    "processes-lost",
    "one of {processes} training processes was lost in phase {phase}{again}",
    "{said}",
    "rerun the command to continue from the last finished epoch; fewer train.processes use less memory",
    exit_code=ExitCode.OWN_FAULT,
)
NOTHING_TO_TRAIN_ON = ErrorRow(
    "nothing-to-train-on",
    "there are no {role} images",
    fix="add images, or lower [data] calibration_images and the shares of the other splits",
)
CLASSES_DIFFER = ErrorRow(
    "classes-differ",
    "the plan has {planned} classes, but the images have {found}",
    "the data changed after the images were listed",
    "rerun the command",
)
CLASS_TOO_SMALL = ErrorRow(
    "class-too-small",
    "class {name} has {images:counted training image}",
    "a linear probe trains on some images of a class and tests on others, so each class needs at least 2",
    "add images of this class, or skip the probe with --transfer head",
)
NOTHING_TO_TRANSFER = ErrorRow(
    "nothing-to-transfer",
    "--transfer {asked} keeps pretrained layers of {arch}, but there are none",
    "{why}",
    "pass --transfer auto or scratch, or pass --weights with a checkpoint that exists",
)
WEIGHTS_NOT_WANTED = ErrorRow(
    "weights-not-wanted", "--transfer scratch does not use --weights {weights}", fix="remove one of them"
)
NOTHING_TO_UNFREEZE = ErrorRow(
    "nothing-to-unfreeze", "train.unfreeze=groups cannot be combined with {beside}", "{because}", "remove one of them"
)
MINUTES_NOT_FITTING = ErrorRow(
    "minutes-not-fitting",
    "train.minutes cannot be combined with {beside}",
    "train.minutes sets the number of epochs of a single training",
    "remove train.minutes or {beside}",
)
NO_CYCLES_HERE = ErrorRow(
    "no-cycles-here",
    "train.cycles={cycles} cannot be combined with {beside}",
    "this setting applies only to fine-tuning the whole network",
    "remove train.cycles, or pass --set train.cycles=one",
)
NO_BODY_RATE_HERE = ErrorRow(
    "no-body-rate-here",
    "train.body_rate={body_rate:g} cannot be combined with {beside}",
    "this setting applies only to fine-tuning the whole network",
    "remove train.body_rate",
)
NOTHING_FROM_SCRATCH = ErrorRow(
    "nothing-from-scratch",
    "train.scratch={recipe} would change nothing",
    "train.scratch applies to random weights, but training starts from pretrained weights",
    "remove train.scratch, or pass --transfer scratch",
)
NOTHING_IN_EPOCHS = ErrorRow(
    "nothing-in-epochs",
    "train.epochs={epochs} cannot be combined with {beside}",
    "epochs apply to the whole network, but only the head is trained; {instead}",
    "remove one of them; if a recipe sets the epochs, pass --set train.epochs=0",
)
NOTHING_IN_PRECISION = ErrorRow(
    "nothing-in-precision",
    "train.precision={precision} cannot be combined with {beside}",
    "train.precision applies to training the whole network, which does not happen here",
    "remove one of them",
)
HEAD_NOT_FITTING = ErrorRow(
    "head-not-fitting",
    "train.head={head} cannot be combined with {beside}",
    "{because}",
    "pass --set train.head=linear, or remove {beside}",
)
HEAD_NOT_ALONE = ErrorRow(
    "head-not-alone",
    "{asked} cannot be used with {arch}",
    "the network has several last layers, {heads:listed}, whose outputs are combined",
    "remove it to train the whole network, or pass --transfer last",
)
NOTHING_TO_REPLACE = ErrorRow(
    "nothing-to-replace",
    "surgery.{setting} cannot remove {lacks} from {arch}",
    "{because}",
    "pass --set surgery.{name}=keep, or choose a network that has {lacks}, such as {fitting:commas}",
)
NOTHING_TO_PRUNE = ErrorRow(
    "nothing-to-prune",
    "surgery.pruned={share:g} is not supported for {arch}",
    "edgecnn can remove channels only from networks of the families {families:listed}",
    "pass --set surgery.pruned=0, or choose a network of these families from edgecnn list archs",
)
SURGERY_OF_NOTHING = ErrorRow(
    "surgery-of-nothing",
    "surgery.instead needs a change of the network, but none is set",
    "surgery.activation and surgery.squeeze_excite are keep, and surgery.pruned is 0",
    "set surgery.pruned=0.3, surgery.activation=… or surgery.squeeze_excite=remove, or pass --set surgery.instead=false",
)
NOTHING_CHANGES_HERE = ErrorRow(
    "nothing-changes-here", "surgery.instead needs a changed network, but none is available", "{because}", "{command}"
)
NO_TEACHER = ErrorRow("no-teacher", "{named} cannot be the teacher", "{because}", "build a teacher with edgecnn build")
TEACHER_WITHOUT_WEIGHTS = ErrorRow(
    "teacher-without-weights",
    "{named} cannot be the teacher",
    "it has no pretrained weights: {because}",
    "choose another network of the catalogue, or the folder of a finished build",
)
TEACHER_CHANGED = ErrorRow(
    "teacher-changed",
    "{folder} cannot be the teacher",
    "surgery changed its network after the training",
    "choose a build of the unchanged network, or a network of the catalogue",
)
TEACHER_UNTRAINED = ErrorRow(
    "teacher-untrained", "{folder} cannot be the teacher", "it trained no network", "choose a network of the catalogue"
)
TEACHER_GONE = ErrorRow(
    "teacher-gone", "{folder} cannot be the teacher", "the store {store} no longer holds its trained network", "{command}"
)
TEACHER_SEES_OTHERWISE = ErrorRow(
    "teacher-sees-otherwise",
    "{folder} cannot be the teacher",
    "it sees {theirs} px by {their_mode}, but the student sees another part or shape of the image: {ours} px by {mode}",
    "choose a build with the same shape and preprocessing.resize",
)
TEACHER_SAW_OTHER_IMAGES = ErrorRow(
    "teacher-saw-other-images",
    "the teacher {folder} was trained on {theirs}, not on {ours}",
    "the images, classes, splits or groups differ, so the teacher may have been trained on your test images",
    "build the teacher with the same --data, or choose a network of the catalogue, which edgecnn then trains on these images",
)
TEACHER_NOT_FITTING = ErrorRow(
    "teacher-not-fitting", "train.teacher cannot be combined with {beside}", "{because}", "remove one of them"
)
FOLDS_NOT_FITTING = ErrorRow(
    "folds-not-fitting",
    "train.folds={folds} cannot be combined with {beside}",
    "{because}",
    "remove train.folds or {beside}",
    kind=FoldsNotFitting,
)


def training_diverged(
    phase: str, epoch: int, batch: int, kept: tuple[Path, int | None] | None, rate: tuple[str, float]
) -> EdgecnnError:
    """``kept``: a checkpoint, and the epoch after which it was written, or None for the best; ``rate``: recipe key and value."""
    setting, value = rate
    stored = ""
    if kept is not None:
        file, after = kept
        stored = f"; {'the best checkpoint so far' if after is None else f'the state after epoch {after}'} is kept in {file}"
    return TRAINING_DIVERGED(phase=phase, epoch=epoch, batch=batch, kept=stored, setting=setting, rate=value / 3)


def batch_too_large(batch: int, needed_mib: float, room: tuple[str, float], fits: int, ran_out: bool = False) -> EdgecnnError:
    """``room``: cpu or gpu, and its memory in MiB; ``fits``: the largest batch that fits; ``ran_out``: whether memory ran out."""
    on_gpu, limit_mib = room[0] == "gpu", room[1]
    held = f"the GPU has {limit_mib:,.0f} MiB free" if on_gpu else f"this process may use {limit_mib:,.0f} MiB"
    needs = f"it needs at least {needed_mib:,.0f} MiB, and {held}"
    hint = f"pass --set train.batch_size={fits}"
    if fits < 2:
        hint = "set a smaller model.resolution_px, or use a machine with more memory"
    return BATCH_TOO_LARGE(
        batch=batch,
        because=f"memory ran out; {needs}" if ran_out else needs,
        hint=f"{hint}, or pass --set train.device=cpu" if on_gpu else hint,
        fits=fits,
    )


def batch_too_small_to_share(processes: int, images: int, least: int) -> EdgecnnError:
    return BATCH_TOO_SMALL_TO_SHARE(processes=processes, images=images, least=least, fits=max(images // least, 1))


def nothing_to_share(processes: int, beside: str, gpu: bool = False) -> EdgecnnError:
    because = "the processes share training of the whole network, which does not happen here"
    if gpu:
        because = "the processes share the CPU cores of this machine, but training runs on a GPU"
    return NOTHING_TO_SHARE(processes=processes, beside=beside, because=because)


def processes_lost(processes: int, restarts: int, phase: str, last_line: str) -> EdgecnnError:
    again = f", and again after each of {restarts} restarts" if restarts else ""
    return PROCESSES_LOST(processes=processes, phase=phase, again=again, said=last_line)


def nothing_to_replace(arch: str, setting: str, lacks: str, has: str | None, fitting: Sequence[str]) -> EdgecnnError:
    """``lacks``: the layers that the setting removes; ``has``: those of the network, None if its blocks are timm's."""
    own = "its blocks come from timm, but edgecnn replaces only layers from torchvision and edgecnn"
    because = own if has is None else f"it has {has}"
    return NOTHING_TO_REPLACE(
        arch=arch, setting=setting, lacks=lacks, because=because, name=setting.partition("=")[0], fitting=fitting
    )
