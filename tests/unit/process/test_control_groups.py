import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.process.control_groups import ROOT, find_cgroup
from app.process.resident_memory import machine_bytes

MIB = 1024 * 1024
V1 = ROOT / "memory"


def hierarchy(root: Path, files: dict[str, str], membership: str) -> tuple[Path, Path]:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    ours = root / "membership"
    ours.write_text(membership)
    return root, ours


@pytest.mark.parametrize(
    ("files", "membership", "limit"),
    [
        ({"a/b/memory.max": f"{64 * MIB}\n"}, "0::/a/b\n", 64 * MIB),
        ({"a/b/memory.max": "max\n", "a/memory.max": f"{128 * MIB}\n"}, "0::/a/b\n", 128 * MIB),
        ({"a/b/memory.max": f"{256 * MIB}", "a/memory.max": f"{128 * MIB}"}, "0::/a/b\n", 128 * MIB),
        ({"memory.max": f"{32 * MIB}"}, "0::/outside/of/the/container\n", 32 * MIB),
        ({"unified/memory.max": f"{32 * MIB}"}, "4:memory:/\n0::/\n", 32 * MIB),
        ({"memory/x/memory.limit_in_bytes": f"{16 * MIB}"}, "5:cpu,memory:/x\n0::/\n", 16 * MIB),
        ({"memory/memory.limit_in_bytes": "9223372036854771712\n"}, "4:memory:/\n", None),
        ({"memory.max": "max"}, "0::/\n", None),
        ({"memory.max": str(machine_bytes())}, "0::/\n", machine_bytes()),
        ({"memory.max": str(machine_bytes() + 4096)}, "0::/\n", None),
        ({"memory.max": "nonsense"}, "0::/\n", None),
        ({"memory.max": "-5"}, "0::/\n", None),
        ({}, "0::/\n", None),
        ({"memory.max": f"{32 * MIB}"}, "", None),
    ],
)
def test_the_lowest_limit_around_us_binds(
    tmp_path: Path, files: dict[str, str], membership: str, limit: int | None
) -> None:
    group = find_cgroup(*hierarchy(tmp_path, files, membership))
    assert (group and group.limit_bytes) == limit


def test_without_cgroups_there_is_none(tmp_path: Path) -> None:
    assert find_cgroup(tmp_path, tmp_path / "missing") is None


@pytest.mark.parametrize(
    ("prefix", "names"),
    [
        ("", ("memory.max", "memory.current", "")),
        ("memory/", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")),
    ],
)
def test_usage_leaves_out_cached_pages_of_files_active_ones_too(
    tmp_path: Path, prefix: str, names: tuple[str, str, str]
) -> None:
    """`active_file` are pages read more than once; `shmem` lies in memory only and stays counted."""
    limit, usage, total = names
    files = {
        prefix + limit: str(100 * MIB),
        prefix + usage: str(50 * MIB),
        prefix + "memory.stat": (
            f"anon 1\n{total}shmem {3 * MIB}\n"
            f"{total}inactive_file {20 * MIB}\n{total}active_file {12 * MIB}\n"
        ),
    }
    group = find_cgroup(*hierarchy(tmp_path, files, "4:memory:/\n0::/\n"))
    assert group is not None
    assert group.usage_bytes() == 18 * MIB


@pytest.mark.skipif(
    not os.access(V1, os.W_OK), reason="needs a writable version 1 hierarchy, which containers seldom have"
)
def test_a_real_group_is_found_and_read() -> None:
    folder = V1 / f"tidegate-test-{os.getpid()}"
    folder.mkdir()
    script = (
        "import os, pathlib; from app.process.control_groups import find_cgroup\n"
        f"pathlib.Path({str(folder / 'cgroup.procs')!r}).write_text(str(os.getpid()))\n"
        "group = find_cgroup(); print(group.limit_bytes, group.usage_bytes())"
    )
    try:
        (folder / "memory.limit_in_bytes").write_text(str(200 * MIB))
        output = subprocess.run(
            [sys.executable, "-c", script],
            stdin=subprocess.DEVNULL,
            check=True,
            capture_output=True,
            timeout=60,
        )
    finally:
        folder.rmdir()
    limit, usage = map(int, output.stdout.split())
    assert limit == 200 * MIB
    assert 0 < usage < limit
