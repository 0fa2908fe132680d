"""Failures of sweeps: the file that lists builds, their folder, and experiment trackers. Passwords in addresses are hidden."""

from __future__ import annotations

from edgecnn.errors.base import EdgecnnError, ErrorRow, ExitCode


class TrackerUnreachable(EdgecnnError):
    """A tracker does not answer, or refuses a run. No build fails because of it."""


SWEEP_INVALID = ErrorRow(
    "sweep-invalid",
    "sweep {path} has {problems:counted problem}",
    "{problems:joined}",
    "docs/howto/sweep.md shows every table, and docs/schemas/recipe.json lists every recipe value",
)
BUILD_REPEATED = ErrorRow(
    "build-repeated", "sweep {path} has the build {name} twice", "both have the same settings", "remove one of them"
)
BUILDS_NAMED_ALIKE = ErrorRow(
    "builds-named-alike",
    "sweep {path} has two builds with the name {name}",
    "the name does not show the values in which they differ",
    'give one of them a name with name = "…" in its [[build]]',
)
SWEEP_TOO_LARGE = ErrorRow(
    "sweep-too-large",
    "sweep {path} has {builds:,} builds",
    "at most {most:,} are allowed",
    "remove values from [grid], or divide the file into several sweeps",
)
NOT_A_SWEEP_FOLDER = ErrorRow("not-a-sweep-folder", "{path} cannot be used", "{because}", "choose another folder with --out")
NOTHING_SWEPT = ErrorRow(
    "nothing-swept", "{out} holds no finished build of this sweep", fix="{command}", exit_code=ExitCode.MISSING
)
SWEEP_IS_RUNNING = ErrorRow(
    "sweep-is-running",
    "another sweep is writing to {out}",
    fix="wait until that sweep has finished, or choose another folder with --out",
    exit_code=ExitCode.MISSING,
)
CLUSTER_UNUSABLE = ErrorRow(
    "cluster-unusable",
    "the cluster {address} cannot be used",
    "{because}",
    "start a cluster with `ray start --head`, and add machines with `ray start --address=HOST:6379`; if the cluster uses tokens, "
    "set RAY_AUTH_MODE=token",
    exit_code=ExitCode.MISSING,
)
CLUSTER_DISCONNECTED = ErrorRow(
    "cluster-disconnected",
    "the cluster {address} cannot be used",
    "{because}",
    "rerun the command to continue",
    exit_code=ExitCode.MISSING,
)
CLUSTER_TOO_SLOW = ErrorRow(
    "cluster-too-slow",
    "the cluster {address} cannot be used",
    "{because}",
    "Ray's server for clients did not start within 30 s: run `ray start --head` with "
    "RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S=120, or use `--on ray` on a machine of the cluster",
    exit_code=ExitCode.MISSING,
)
CLUSTER_LOST = ErrorRow(
    "cluster-lost",
    "the connection to the cluster {address} was lost",
    "its log is {log}",
    "rerun the command to continue",
    exit_code=ExitCode.MISSING,
)
CLUSTER_WITHOUT_CORES = ErrorRow(
    "cluster-without-cores",
    "no machine of the cluster {address} has a free core",
    "each stage needs at least one",
    "add a machine with `ray start --address=HOST:6379`, then rerun the command to continue",
    exit_code=ExitCode.MISSING,
)
CLUSTER_WITHOUT_GPU = ErrorRow(
    "cluster-without-gpu",
    "no machine of the cluster {address} has a GPU",
    "this sweep trains on a GPU",
    "train on CPUs with --set train.device=cpu, or add a machine with a GPU",
    exit_code=ExitCode.MISSING,
)
WORKERS_DIFFER = ErrorRow(
    "workers-differ",
    "machines of the cluster differ from this one in {problems:counted point}",
    "{problems:joined}",
    "install the same versions on those machines as here, or remove the machine from the cluster",
    exit_code=ExitCode.MISSING,
)
TRACKER_MISREAD = ErrorRow("tracker-misread", "--track {text!r} is not the address of a tracker", "{because}", "{takes}")
TRACKER_REFUSED = ErrorRow(
    "tracker-refused",
    "MLflow cannot use {address}",
    "MLflow does not know this kind of store",
    "begin the address with http://, https://, sqlite:///, postgresql:// or databricks",
)
TRACKER_FOLDER_REFUSED = ErrorRow(
    "tracker-folder-refused",
    "MLflow cannot use {address}",
    "MLflow no longer writes to a folder of files",
    "use mlflow:sqlite:///mlflow.db or a server, or set MLFLOW_ALLOW_FILE_STORE=true to allow a folder",
)
TRACKER_WITHOUT_DATABASES = ErrorRow(
    "tracker-without-databases",
    "MLflow cannot use {address}",
    "the installed client reaches only servers, not databases",
    "pip install mlflow",
)
TRACKER_UNREACHABLE = ErrorRow(
    "tracker-unreachable",
    "{address} cannot be written",
    "{because}",
    "check the address and the server, then rerun the command with the same --track",
    exit_code=ExitCode.MISSING,
    kind=TrackerUnreachable,
)
