"""Ask a machine for its facts, and lay its answer out as a folder that the runner's readers read."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from edgecnn.devices.this_machine import local_facts
from edgecnn.errors.hosts import RECORDING_UNUSABLE
from edgecnn.errors.wording import first_problem
from edgecnn.hosts.ssh.link import Link, shell_path
from edgecnn.hosts.wire import Silence, Unusable, exchange, last_document, last_lines, usable, validate
from edgecnn.runner.machine.environment import read_conditions
from edgecnn.runner.machine.sensors import observe
from edgecnn.runner.machine.throttling import PI_FLAGS, SINCE_BOOT, read_throttles
from edgecnn.runner.meters.kinds import KINDS
from edgecnn.runner.runs.processes import kill_group
from edgecnn.values.board import BoardFacts, BoardGpu, BoardPython, RecordedPython, Recording

RECORDER = Path(__file__).with_name("recorder.py")
HERE = "this machine"
_THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
"""File in which the kernel of a Raspberry Pi reports the same flags as its command."""
_TIMEOUT_S = 120
_LAST_LINES = 3
_METER_FILES = tuple(pattern for kind in KINDS for pattern in kind.files)


def recording_of(board: str, stdout: bytes, stderr: str) -> Recording:
    """Parse the recorder's output.

    Raises RecordingUnusable: Python is absent or older than 3.6, or another program answered.
    """
    try:
        return validate(Recording, last_document(stdout))
    except Unusable as error:
        output = " | ".join(last_lines(stderr or stdout.decode("utf-8", "replace"), _LAST_LINES))[:500]
        raise RECORDING_UNUSABLE(board=board, because=output or "it printed nothing") from error


def record_here(python: str = sys.executable, name: str = HERE) -> Recording:
    """Record this machine, or one emulated on it, with this Python. Raises RecordingUnusable: see ``recording_of``."""
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen([python, "-"], stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
    except OSError as error:
        raise RECORDING_UNUSABLE(board=name, because=" ".join(str(error).split())) from error
    try:
        answer = exchange(process, RECORDER.read_bytes(), _TIMEOUT_S)
    except (Silence, Unusable) as error:
        raise RECORDING_UNUSABLE(board=name, because=str(error) or f"no answer in {_TIMEOUT_S} s") from error
    finally:
        kill_group(process)
    return recording_of(name, answer.stdout, answer.stderr)


def record_board(link: Link, python: str) -> Recording:
    """Record the machine of a link. No file is left there.

    Raises RecordingUnusable: see ``recording_of``. LINK_LOST: the connection was lost.
    """
    answer = link.ask(f"exec {shell_path(python)} -", stdin=RECORDER.read_bytes(), timeout_s=_TIMEOUT_S)
    return recording_of(link.board, answer.stdout, answer.stderr)


def unfold(recording: Recording, root: Path) -> Path:
    """Write the recorded files below ``root``, an existing folder; names that would leave it are skipped.

    The flags of a Raspberry Pi's firmware are written to the kernel's file, so that reading them runs no command.
    """
    texts = dict(recording.files)
    flags = recording.commands.get("get_throttled")
    if flags is not None:
        texts[_THROTTLED] = flags.partition("=")[2]
    for name, text in texts.items():
        parts = PurePosixPath(name).parts
        if not name.startswith("/") and parts and ".." not in parts and "\0" not in name:
            path = root.joinpath(*parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", errors="replace")
    return root


def facts_of(recording: Recording, board: str | None = None) -> BoardFacts:
    """Return the facts of the recorded machine alone. Raises AnswerUnusable: the recording is not valid."""
    with tempfile.TemporaryDirectory(prefix="edgecnn-recording-") as place, usable(board, "its recording"):
        try:
            return _board_facts(recording, unfold(recording, Path(place)))
        except Exception as error:  # noqa: BLE001 - readers of kernel files raise many errors on invalid ones
            why = first_problem(error) if isinstance(error, ValidationError) else f"{type(error).__name__}: {error}"
            raise Unusable(why) from error


def _board_facts(recording: Recording, root: Path) -> BoardFacts:
    facts = local_facts(root, architecture=recording.machine, cores=recording.cores)
    emulated = {"models": (recording.emulator,)} if recording.emulator else {}  # files show this machine's names
    conditions, observed = read_conditions(root=root), observe(root)
    flags = read_throttles(root).flags or 0
    available, temperature = observed.get("memory_available_mib"), observed.get("temperature_c")
    release = dict(line.split("=", 1) for line in recording.files.get("etc/os-release", "").splitlines() if "=" in line)
    l4t = recording.files.get("etc/nv_tegra_release", "").strip().partition("\n")[0].lstrip("# ")
    return BoardFacts(
        **{**dict(facts), **emulated},
        system=release.get("PRETTY_NAME", "").strip("\"'") or None,
        kernel=recording.kernel,
        page_kib=recording.page_bytes // 1024,
        **{name: conditions.get(name) for name in ("cpu", "governor", "clocks", "power_mode")},
        memory_available_mib=None if available is None else int(available),
        disk_free_mib=recording.disk.free_mib,
        disk_noexec=recording.disk.noexec,
        python=_board_python(recording.python),
        packages=recording.python.packages,
        power_mode_name=_power_mode_name(recording.commands.get("nvpmodel", "")),
        temperature_c=None if temperature is None else float(temperature),
        throttled=observed.get("throttled"),
        throttled_since_boot=tuple(name for bit, name in enumerate(PI_FLAGS) if flags >> (bit + SINCE_BOOT) & 1),
        l4t=",".join(l4t.split(",")[:2]) or None,
        jetpack=recording.commands.get("jetpack") or None,
        cuda=_cuda_version(recording.files),
        gpus=() if recording.emulator else tuple(_gpus(recording, facts.models)),
        nodes=recording.nodes,
        refused_meters={
            name: why for name, why in recording.refused.items() if any(fnmatchcase(name, pattern) for pattern in _METER_FILES)
        },
    )


def _board_python(recorded: RecordedPython) -> BoardPython:
    glibc = tuple(int(part) for part in recorded.glibc.split(".")[:2] if part.isdigit())
    same = {name: value for name, value in recorded if name in BoardPython.model_fields}
    return BoardPython(**{**same, "glibc": glibc if len(glibc) > 1 else None})


def _power_mode_name(output: str) -> str | None:
    """Return the name in ``NV Power Mode: MAXN``; the next line holds its number."""
    lines = [line.partition(":")[2].strip() for line in output.splitlines() if line.startswith("NV Power Mode")]
    return lines[0] if lines and lines[0] else None


def _cuda_version(files: Mapping[str, str]) -> str | None:
    try:
        return str(json.loads(files["usr/local/cuda/version.json"])["cuda"]["version"])
    except (KeyError, TypeError, ValueError):
        text = files.get("usr/local/cuda/version.txt", "")
        return text.replace("CUDA Version", "").strip() or None


def _gpus(recording: Recording, models: tuple[str, ...]) -> Iterator[BoardGpu]:
    rows = [line.split(",") for line in recording.commands.get("nvidia-smi", "").splitlines()]
    gpus = [[cell.strip() for cell in row] for row in rows if len(row) == len(("name", "capability", "memory"))]
    for model, capability, memory in gpus:
        number = int(memory) if memory.isdigit() else None
        yield BoardGpu(model=model, compute_capability=capability if "." in capability else None, memory_mib=number)
    if not gpus:
        board = recording.files.get("proc/device-tree/model", "").strip("\0 \n")
        yield from (BoardGpu(model=model) for model in models if model != board)
