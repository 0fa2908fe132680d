"""Failures during training."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.errors.base import EdgecnnError, ErrorRow, ExitCode


class FoldsNotFitting(EdgecnnError):
    """Cross-validation is combined with a setting that makes it meaningless."""


TRAINING_DIVERGED = ErrorRow(
    "training-diverged",
    "training diverged in phase {phase}, epoch {epoch}, batch {batch}",
    "the loss or an output is not a finite number{kept}",
    "--set {setting}={rate:.1g}, a third of the value that was used",
)
BATCH_TOO_LARGE = ErrorRow(
    "batch-too-large", "a batch of {batch} images does not fit into memory", "{because}", "{hint}", also=("fits",)
)
TOO_MANY_PROCESSES = ErrorRow(
    "too-many-processes",
    "train.processes={asked} is more than the threads of this training",
    "training uses {threads:counted thread} (train.threads)",
    "--set train.processes={threads}, or --set train.threads={asked}",
)
BATCH_TOO_SMALL_TO_SHARE = ErrorRow(
    "batch-too-small-to-share",
    "a batch of {images} images is too small for train.processes={processes}",
    "each process needs at least {least} images of every batch",
    "--set train.processes={fits}, or a larger train.batch_size",
)
NOTHING_TO_SHARE = ErrorRow(
    "nothing-to-share", "train.processes={processes} cannot be combined with {beside}", "{because}", "leave one of them out"
)
NO_GPU_TO_TRAIN_ON = ErrorRow(
    "no-gpu-to-train-on",
    "train.device=gpu needs an NVIDIA GPU that torch can use",
    "{because}",
    "--set train.device=cpu; `edgecnn doctor` lists the GPUs here",
    exit_code=ExitCode.MISSING,
)
NO_DISTRIBUTED_TORCH = ErrorRow(
    "no-distributed-torch",
    "train.processes needs torch.distributed with gloo",
    "torch {version} was built without gloo",
    "pip install --force-reinstall torch, or --set train.processes=1",
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
    "there is no image in the role {role}",
    fix="add images, or lower [data] calibration_images and the shares",
)
CLASSES_DIFFER = ErrorRow(
    "classes-differ",
    "the plan has {planned} classes, but the images have {found}",
    "the data changed after they were listed",
    "rerun the command",
)
CLASS_TOO_SMALL = ErrorRow(
    "class-too-small",
    "class {name} has {images:counted training image}",
    "a linear probe is trained on some images of a class and tested on others, so it needs at least 2",
    "add images of it, or force the choice: --transfer head",
)
NOTHING_TO_TRANSFER = ErrorRow(
    "nothing-to-transfer",
    "--transfer {asked} keeps pretrained layers of {arch}, but there are none",
    "{why}",
    "pass --transfer auto or scratch, or --weights a checkpoint that exists",
)
WEIGHTS_NOT_WANTED = ErrorRow(
    "weights-not-wanted", "--transfer scratch does not use --weights {weights}", fix="leave one of them out"
)
NOTHING_TO_UNFREEZE = ErrorRow(
    "nothing-to-unfreeze", "train.unfreeze=groups cannot be combined with {beside}", "{because}", "leave one of them out"
)
MINUTES_NOT_FITTING = ErrorRow(
    "minutes-not-fitting",
    "train.minutes cannot be combined with {beside}",
    "it chooses how many epochs one network is trained",
    "leave train.minutes or {beside} out",
)
NO_CYCLES_HERE = ErrorRow(
    "no-cycles-here",
    "train.cycles=while-better cannot be combined with {beside}",
    "it divides the epochs of fine-tuning, and there are none",
    "leave train.cycles out, or --set train.cycles=one",
)
NOTHING_FROM_SCRATCH = ErrorRow(
    "nothing-from-scratch",
    "train.scratch={recipe} would change nothing",
    "it applies to random weights, but training starts from pretrained ones",
    "leave it out, or pass --transfer scratch",
)
NOTHING_IN_EPOCHS = ErrorRow(
    "nothing-in-epochs",
    "train.epochs={epochs} cannot be combined with {beside}",
    "epochs apply to the whole network, but only the head is trained; {instead}",
    "leave one of them out; --set train.epochs=0 if a recipe states the epochs",
)
NOTHING_IN_PRECISION = ErrorRow(
    "nothing-in-precision",
    "train.precision={precision} cannot be combined with {beside}",
    "it applies to training of the whole network, which does not happen here",
    "leave one of them out",
)
HEAD_NOT_FITTING = ErrorRow(
    "head-not-fitting",
    "train.head={head} cannot be combined with {beside}",
    "{because}",
    "--set train.head=linear, or leave {beside} out",
)
HEAD_NOT_ALONE = ErrorRow(
    "head-not-alone",
    "{asked} cannot be used with {arch}",
    "its prediction comes from several last layers together: {heads:commas}",
    "leave it out, so that the whole network is trained, or pass --transfer last",
)
NOTHING_TO_REPLACE = ErrorRow(
    "nothing-to-replace",
    "surgery.{setting} cannot remove {lacks} from {arch}",
    "{because}",
    "--set surgery.{name}=keep, or a network that has {lacks}: {fitting:commas}",
)
NOTHING_TO_PRUNE = ErrorRow(
    "nothing-to-prune",
    "surgery.pruned={share:g} is not supported for {arch}",
    "the families whose channels edgecnn can remove are {families:commas}",
    "--set surgery.pruned=0, or choose a network of these families: edgecnn list archs",
)
SURGERY_OF_NOTHING = ErrorRow(
    "surgery-of-nothing",
    "surgery.instead needs a change of the network, but none is stated",
    "activation and squeeze_excite are keep, and pruned is 0",
    "--set surgery.pruned=0.3, surgery.activation=… or surgery.squeeze_excite=remove; or --set surgery.instead=false",
)
NOTHING_CHANGES_HERE = ErrorRow(
    "nothing-changes-here", "surgery.instead needs a changed network, but none is available", "{because}", "{command}"
)
NO_TEACHER = ErrorRow("no-teacher", "{named} cannot teach", "{because}", "{hint}")
TEACHER_SAW_OTHER_IMAGES = ErrorRow(
    "teacher-saw-other-images",
    "{folder} cannot teach: it was trained on {theirs}, not on {ours}",
    "its images, classes, roles or groups differ, so its training images may be test images here",
    "build the teacher on the same --data, or name a network of the catalogue, which edgecnn then trains on these images",
)
TEACHER_NOT_FITTING = ErrorRow(
    "teacher-not-fitting", "train.teacher cannot be combined with {beside}", "{because}", "leave one of them out"
)
FOLDS_NOT_FITTING = ErrorRow(
    "folds-not-fitting",
    "train.folds={folds} cannot be combined with {beside}",
    "{because}",
    "leave train.folds or {beside} out",
    kind=FoldsNotFitting,
)


def training_diverged(phase: str, epoch: int, batch: int, kept: str | None, rate: tuple[str, float]) -> EdgecnnError:
    """``kept``: what was stored and where, or None; ``rate``: of the head, and the recipe's key that sets it."""
    setting, value = rate
    return TRAINING_DIVERGED(
        phase=phase, epoch=epoch, batch=batch, kept=f"; {kept}" if kept else "", setting=setting, rate=value / 3
    )


def batch_too_large(batch: int, needed_mib: float, room: tuple[str, float], fits: int, ran_out: bool = False) -> EdgecnnError:
    """``room``: cpu or gpu, and its memory in MiB; ``fits``: the largest batch that fits; ``ran_out``: whether memory ran out."""
    on_gpu, limit_mib = room[0] == "gpu", room[1]
    held = f"the GPU has {limit_mib:,.0f} MiB free" if on_gpu else f"this process may use {limit_mib:,.0f} MiB"
    needs = f"it needs at least {needed_mib:,.0f} MiB, and {held}"
    hint = f"--set train.batch_size={fits}"
    if fits < 2:
        hint = "pass a smaller --set model.resolution_px, or use a machine with more memory"
    return BATCH_TOO_LARGE(
        batch=batch,
        because=f"memory ran out; {needs}" if ran_out else needs,
        hint=f"{hint}; or --set train.device=cpu" if on_gpu else hint,
        fits=fits,
    )


def batch_too_small_to_share(processes: int, images: int, least: int) -> EdgecnnError:
    return BATCH_TOO_SMALL_TO_SHARE(processes=processes, images=images, least=least, fits=max(images // least, 1))


def nothing_to_share(processes: int, beside: str, gpu: bool = False) -> EdgecnnError:
    because = "processes share the training of the whole network, but it is not trained"
    if gpu:
        because = "processes share the CPU cores of this machine, but one process uses a GPU"
    return NOTHING_TO_SHARE(processes=processes, beside=beside, because=because)


def processes_lost(processes: int, restarts: int, phase: str, last_line: str) -> EdgecnnError:
    again = f", and again after each of {restarts} restarts" if restarts else ""
    return PROCESSES_LOST(processes=processes, phase=phase, again=again, said=last_line)


def nothing_to_replace(arch: str, setting: str, lacks: str, has: str | None, fitting: Sequence[str]) -> EdgecnnError:
    """``lacks``: the layers that the setting removes; ``has``: those of the network, None if its blocks are timm's."""
    own = "its blocks are timm's, and edgecnn replaces only layers of torchvision and its own"
    because = own if has is None else f"it has {has}"
    return NOTHING_TO_REPLACE(
        arch=arch, setting=setting, lacks=lacks, because=because, name=setting.partition("=")[0], fitting=fitting
    )
