"""Machines as they say what they are: files and answers in the form that Linux and the boards' makers give them."""

from __future__ import annotations

from typing import Any

from edgecnn.values.board import Recording

_CPU = "sys/devices/system/cpu/cpu0/cpufreq/"


def recorded(*changes: dict[str, Any], **top: Any) -> Recording:
    """A recording; each change is of ``python``, ``files``, … by that name, and adds to what is there."""
    said: dict[str, Any] = {
        "machine": "aarch64",
        "kernel": "6.12.25+rpt-rpi-2712",
        "page_bytes": 4096,
        "cores": 4,
        "user": 1000,
        "python": {
            "version": [3, 11, 2], "implementation": "CPython", "executable": "/usr/bin/python3", "bits": 64,
            "in_environment": False, "managed": True, "ensurepip": True, "packages": {"pip": "23.0.1"}, "glibc": "2.36",
        },
        "disk": {"free_mib": 40_000, "noexec": False},
        "nodes": {},
        "commands": {},
        "files": {},
        "refused": {},
    }  # fmt: skip
    for change in changes:
        for name, value in change.items():
            said[name] = {**said[name], **value}
    return Recording.model_validate({**said, **top})


RASPBERRY_PI_5 = {
    "files": {
        "proc/cpuinfo": "".join(
            f"processor\t: {core}\nFeatures\t: fp asimd asimdhp asimddp\nCPU implementer\t: 0x41\nCPU part\t: 0xd0b\n\n"
            for core in range(4)
        ),
        "proc/meminfo": "MemTotal:        8256512 kB\nMemAvailable:    7340032 kB\n",
        "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
        "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n',
        "sys/class/thermal/thermal_zone0/temp": "51200\n",
        f"{_CPU}scaling_governor": "ondemand\n",
        f"{_CPU}scaling_min_freq": "1500000\n",
        f"{_CPU}scaling_max_freq": "2400000\n",
    },
    "commands": {"get_throttled": "throttled=0x0"},
    "nodes": {"dev/dri/renderD128": True},
}
READY = {"python": {"packages": {"pip": "23.0.1", "numpy": "2.4.6", "pillow": "13.0.0", "onnxruntime": "1.31.1"}}}
JETSON_ORIN_NANO = {
    "files": {
        "proc/cpuinfo": "".join(
            f"processor\t: {core}\nFeatures\t: fp asimd asimdhp asimddp\nCPU implementer\t: 0x41\nCPU part\t: 0xd42\n\n"
            for core in range(6)
        ),
        "proc/meminfo": "MemTotal:        7802880 kB\nMemAvailable:    5340032 kB\n",
        "proc/device-tree/model": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0",
        "etc/os-release": 'PRETTY_NAME="Ubuntu 22.04.5 LTS"\n',
        "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n",
        "usr/local/cuda/version.json": '{"cuda": {"name": "CUDA SDK", "version": "12.6.11"}}',
        "var/lib/nvpmodel/status": "pmode:0001\n",
        "sys/class/devfreq/17000000.gpu/min_freq": "306000000\n",
        "sys/class/devfreq/17000000.gpu/max_freq": "1020000000\n",
        f"{_CPU}scaling_governor": "schedutil\n",
        f"{_CPU}scaling_min_freq": "729600\n",
        f"{_CPU}scaling_max_freq": "1728000\n",
    },
    "commands": {"nvpmodel": "NV Power Mode: 25W\n1", "jetpack": "6.2.1+b38"},
    "nodes": {"dev/nvmap": True, "dev/nvhost-gpu": True},
    "python": {
        "version": [3, 10, 12], "glibc": "2.35", "managed": False,
        "packages": {"pip": "22.0.2", "numpy": "1.26.4", "pillow": "9.0.1", "tensorrt": "10.3.0"},
    },
}  # fmt: skip

TRIXIE = {
    "files": {"etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\n'},
    "python": {"version": [3, 13, 5], "glibc": "2.41", "packages": {"pip": "25.1.1"}},
}
"""What differs on a Raspberry Pi with the system of 2025 and later."""
JETPACK_7 = {
    "files": {
        "etc/os-release": 'PRETTY_NAME="Ubuntu 24.04.3 LTS"\n',
        "etc/nv_tegra_release": "# R39 (release), REVISION: 2.0, GCID: 45500000, BOARD: generic, EABI: aarch64\n",
        "usr/local/cuda/version.json": '{"cuda": {"name": "CUDA SDK", "version": "13.2.0"}}',
    },
    "commands": {"jetpack": "7.2+b100"},
    "python": {
        "version": [3, 12, 3], "glibc": "2.39", "managed": True,
        "packages": {"pip": "24.0", "numpy": "1.26.4", "pillow": "10.2.0", "tensorrt": "10.16.1"},
    },
}  # fmt: skip
"""What differs on a Jetson Orin with JetPack 7.2."""
