"""Record a machine's facts as one JSON line, with Python 3.6 and its standard library alone.

The script is sent to a board's Python over standard input, so no file is left there. It copies small files as they are; this
machine interprets them. Serial numbers, host names and addresses are not recorded.
"""

import errno
import glob
import json
import os
import platform
import struct
import subprocess
import sys
import sysconfig
from typing import Any, Dict, List, Sequence

FILES = (
    "proc/cpuinfo",
    "proc/meminfo",
    "proc/loadavg",
    "proc/self/status",
    "proc/self/cgroup",
    "proc/device-tree/compatible",
    "proc/device-tree/model",
    "proc/driver/nvidia/version",
    "proc/driver/nvidia/gpus/*/information",
    "etc/os-release",
    "etc/nv_tegra_release",
    "usr/local/cuda/version.json",
    "usr/local/cuda/version.txt",
    "var/lib/nvpmodel/status",
    "sys/class/dmi/id/product_name",
    "sys/class/devfreq/*/*_freq",
    "sys/class/hwmon/hwmon*/name",
    "sys/class/hwmon/hwmon*/temp*_input",
    "sys/class/hwmon/hwmon*/oc*_event_cnt",
    "sys/class/powercap/intel-rapl*/name",
    "sys/class/powercap/intel-rapl*/*energy*_uj",
    "sys/class/thermal/thermal_zone*/t*p*",
    "sys/class/thermal/cooling_device*/type",
    "sys/class/thermal/cooling_device*/cur_state",
    "sys/bus/i2c/drivers/ina3221*/*-*/hwmon/hwmon*/in*_label",
    "sys/bus/i2c/drivers/ina3221*/*-*/hwmon/hwmon*/in*_input",
    "sys/bus/i2c/drivers/ina3221*/*-*/hwmon/hwmon*/curr*_input",
    "sys/devices/platform/*/*firmware/get_throttled",
    "sys/devices/system/cpu/online",
    "sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_*",
    "sys/devices/system/cpu/cpu[0-9]*/cpufreq/energy_performance_preference",
    "sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/*_throttle_count",
    "sys/devices/system/cpu/cpufreq/boost",
    "sys/devices/system/cpu/intel_pstate/no_turbo",
    "sys/firmware/acpi/platform_profile",
    "sys/fs/cgroup/cpu.max",
    "sys/fs/cgroup/memory.max",
    "sys/kernel/nvpmodel_clk_cap/emc",
    "sys/module/nvidia/version",
)
COMMANDS = {
    "get_throttled": ["vcgencmd", "get_throttled"],
    "pmic": ["vcgencmd", "pmic_read_adc"],
    "nvpmodel": ["nvpmodel", "-q"],
    "jetpack": ["dpkg-query", "-W", "-f", "${Version}", "nvidia-jetpack"],
    "nvidia-smi": ["nvidia-smi", "--query-gpu=name,compute_cap,memory.total", "--format=csv,noheader,nounits"],
}
NODES = ("dev/dri/renderD*", "dev/accel/accel*", "dev/nvhost-gpu", "dev/nvmap", "dev/nvidia0", "dev/nvidiactl")
PACKAGES = (
    "numpy",
    "pillow",
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-openvino",
    "openvino",
    "tensorrt",
    "tensorrt-cu12",
    "tensorrt-cu13",
    "nvidia-tensorrt",
    "ncnn",
    "ai-edge-litert",
    "pip",
)
LARGEST = 65536
MOST = 4000
TIMEOUT_S = 15


def files(root: str, patterns: Sequence[str]) -> Dict[str, Dict[str, str]]:
    """Texts by path, and the reason for each file that may not be read."""
    texts: Dict[str, str] = {}
    refused: Dict[str, str] = {}
    for pattern in patterns:
        for path in sorted(glob.glob(os.path.join(root, pattern)))[: MOST - len(texts)]:
            name = os.path.relpath(path, root)
            try:
                with open(path, "rb") as stream:
                    texts[name] = anonymous(stream.read(LARGEST).decode("utf-8", "replace"))
            except OSError as error:
                if error.errno in (errno.EACCES, errno.EPERM):
                    refused[name] = os.strerror(error.errno)
    return {"files": texts, "refused": refused}


def anonymous(text: str) -> str:
    """Remove the serial number from a Raspberry Pi's /proc/cpuinfo."""
    return "".join(line for line in text.splitlines(True) if not line.startswith("Serial"))


def commands() -> Dict[str, str]:
    """Output of the board maker's programs that exist and succeed."""
    outputs = {}
    places = os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/opt/vc/bin"
    for name, words in COMMANDS.items():
        try:
            process = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=TIMEOUT_S,
                env=dict(os.environ, PATH=places, LC_ALL="C"),
            )
        except (OSError, subprocess.SubprocessError):
            continue  # an absent or silent program is itself a fact
        if process.returncode == 0:
            outputs[name] = process.stdout.decode("utf-8", "replace").strip()[:LARGEST]
    return outputs


def python() -> Dict[str, Any]:
    """Facts of the running interpreter."""
    inside = sys.prefix != getattr(sys, "base_prefix", sys.prefix)
    managed = os.path.exists(os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED"))
    return {
        "version": list(sys.version_info[:3]),
        "implementation": platform.python_implementation(),
        "executable": sys.executable,
        "bits": struct.calcsize("P") * 8,
        "in_environment": inside,
        "managed": managed and not inside,
        "ensurepip": has_module("ensurepip"),
        "packages": packages(),
        "glibc": glibc(),
    }


def has_module(name: str) -> bool:
    """Whether the module can be imported; Debian ships ensurepip in python3-venv."""
    import importlib.util

    return importlib.util.find_spec(name) is not None


def packages() -> Dict[str, str]:
    """Versions of installed distributions, by the names of their metadata; Python 3.6 and 3.7 lack importlib.metadata."""
    versions: Dict[str, str] = {}
    for folder in sys.path:
        for path in glob.glob(os.path.join(folder or ".", "*-info")):
            name, dash, version = os.path.splitext(os.path.basename(path))[0].partition("-")
            name = name.lower().replace("_", "-")
            if dash and name in PACKAGES:
                versions.setdefault(name, version.split("-")[0])
    return versions


def glibc() -> str:
    """The version, such as ``2.36``; empty for another C library."""
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").rpartition(" ")[2]
    except (ValueError, OSError):
        return ""


def disk() -> Dict[str, Any]:
    """Free space and mount options of the home folder's file system."""
    filesystem = os.statvfs(os.path.expanduser("~"))
    return {
        "free_mib": filesystem.f_bavail * filesystem.f_frsize // 1048576,
        "noexec": bool(filesystem.f_flag & getattr(os, "ST_NOEXEC", 8)),
    }


def nodes(root: str) -> Dict[str, bool]:
    """Device files, and whether this user may use them."""
    paths: List[str] = []
    for pattern in NODES:
        paths += sorted(glob.glob(os.path.join(root, pattern)))
    return {os.path.relpath(path, root): os.access(path, os.R_OK | os.W_OK) for path in paths}


def record() -> Dict[str, Any]:
    """The whole recording."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    about = {
        "machine": platform.machine(),
        "kernel": platform.release(),
        "page_bytes": os.sysconf("SC_PAGE_SIZE"),
        "cores": cores,
        "user": os.geteuid() if hasattr(os, "geteuid") else 0,
        "python": python(),
        "disk": disk(),
        "nodes": nodes("/"),
        "emulator": os.environ.get("EDGECNN_EMULATOR", ""),
        "commands": commands(),
    }
    return dict(about, **files("/", FILES))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(record(), sort_keys=True) + "\n")
