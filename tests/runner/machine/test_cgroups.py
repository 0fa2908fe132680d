"""Limits as containers, services and schedulers really set them, on both versions of control groups."""

from __future__ import annotations

from pathlib import Path

from edgecnn.runner.machine.procfs import Limits, read_limits
from tests.runner.trees import tree

MIB = 1024 * 1024
V2_HOST = "25 21 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1_CONTAINER = (
    "600 590 0:30 /docker/3f2a /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"
    "601 590 0:31 /docker/3f2a /sys/fs/cgroup/memory ro master:12 - cgroup cgroup rw,memory\n"
)


def test_a_container_of_version_2_sees_its_own_group_as_the_root(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/\n",
        "proc/self/mountinfo": V2_HOST,
        "sys/fs/cgroup/cpu.max": "250000 100000\n",
        "sys/fs/cgroup/memory.max": f"{512 * MIB}\n",
    }
    assert read_limits(tree(tmp_path, files)) == Limits(2.5, 512, True)


def test_the_tightest_of_nested_groups_counts(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/system.slice/ci.slice/job.service\n",
        "proc/self/mountinfo": V2_HOST,
        "sys/fs/cgroup/system.slice/cpu.max": "max 100000\n",
        "sys/fs/cgroup/system.slice/ci.slice/cpu.max": "50000 100000\n",
        "sys/fs/cgroup/system.slice/ci.slice/job.service/cpu.max": "400000 100000\n",
        "sys/fs/cgroup/system.slice/memory.max": f"{4096 * MIB}\n",
        "sys/fs/cgroup/system.slice/ci.slice/job.service/memory.max": "max\n",
    }
    assert read_limits(tree(tmp_path, files)) == Limits(0.5, 4096, True)


def test_a_container_of_version_1_mounts_its_group_where_the_root_would_be(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "4:memory:/docker/3f2a\n3:cpu,cpuacct:/docker/3f2a\n",
        "proc/self/mountinfo": V1_CONTAINER,
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "150000\n",
        "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{256 * MIB}\n",
    }
    assert read_limits(tree(tmp_path, files)) == Limits(1.5, 256, True)


def test_version_1_spells_no_limit_in_numbers(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "4:memory:/\n3:cpu:/\n",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    }
    assert read_limits(tree(tmp_path, files)) == Limits(None, None, True)


def test_a_group_outside_of_the_namespace_is_not_followed(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/../other\n",
        "proc/self/mountinfo": V2_HOST,
        "sys/fs/other/cpu.max": "1000 100000\n",
        "sys/fs/cgroup/cpu.max": "300000 100000\n",
    }
    assert read_limits(tree(tmp_path, files)).cores == 3.0


def test_a_neighbour_whose_name_begins_alike_is_no_ancestor(tmp_path: Path) -> None:
    mounted = "600 590 0:30 /docker/3f /sys/fs/cgroup ro - cgroup2 cgroup rw\n"
    files = {
        "proc/self/cgroup": "0::/docker/3f2a\n",
        "proc/self/mountinfo": mounted,
        "sys/fs/cgroup/2a/cpu.max": "1000 100000\n",
    }
    assert read_limits(tree(tmp_path, files)).cores is None


def test_without_control_groups_nothing_is_known(tmp_path: Path) -> None:
    assert read_limits(tmp_path) == Limits(None, None, False)
