"""A gate with a memory limit under more load than it has room for: refused, alive, and back at once.

The limit is the setting, or with `--cgroup` that of a control group around gate and store, where the kernel
would kill them (needs root and a memory controller below /sys/fs/cgroup). Each transaction has `--memo-bytes`
that do not compress added to it.

    python -m benchmarks.ceiling --seconds 90 [--cgroup]
"""

import argparse
import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.common.gates import Service, service, tidegate
from benchmarks.common.plots import MB
from benchmarks.common.results import RESULTS, options_of, write_json
from tests.support.gate import tidegate_command
from tests.support.processes import wait_until
from tests.support.storm import Storm

CGROUPS = Path("/sys/fs/cgroup")
MIB = 1024 * 1024
RECOVERS_SECONDS = 30.0
POLL_SECONDS = 0.1
JOIN = 'echo $$ > "$0/cgroup.procs" && exec "$1" serve'


@contextmanager
def control_group(limit_bytes: int) -> Iterator[Path]:
    """A control group with a memory limit, version 2 or 1; removed in the end."""
    is_v2 = (CGROUPS / "cgroup.controllers").exists()
    group = (CGROUPS if is_v2 else CGROUPS / "memory") / f"tidegate-{os.getpid()}"
    group.mkdir()
    try:
        (group / ("memory.max" if is_v2 else "memory.limit_in_bytes")).write_text(str(limit_bytes))
        yield group
    finally:
        group.rmdir()


def kills(group: Path) -> int:
    """How many processes of the group the kernel killed."""
    files = [file for file in (group / "memory.events", group / "memory.oom_control") if file.exists()]
    counts = dict(line.split() for file in files for line in file.read_text().splitlines())
    return int(counts["oom_kill"])


def measure(gate: Service, options: argparse.Namespace) -> dict[str, Any]:
    """The storm, and how long the gate takes to accept again; of gate and store the pids have to stay."""
    storm, pids = Storm(gate.url, options.memo_bytes), gate.pids()

    async def rage() -> None:
        async with storm.raging(options.workers):
            await asyncio.sleep(options.seconds)

    asyncio.run(rage())
    ended = time.monotonic()
    if not wait_until(lambda: _accepts(gate), RECOVERS_SECONDS, POLL_SECONDS):
        raise SystemExit(f"nothing is accepted {RECOVERS_SECONDS:g} s after the load")
    refused = [one["seconds"] for one in storm.readings if one["refused"]]
    levels = Counter(one["level"] for one in storm.readings)
    return {
        "seconds": options.seconds,
        "answers": dict(storm.answers),
        "first_refused_after_seconds": min(refused, default=None),
        "most_resident_mb": round(storm.most_resident_bytes / MB, 1),
        "limit_mb": round(options.limit_mib * MIB / MB, 1),
        "readings_by_level": dict(sorted(levels.items())),
        "accepts_again_after_seconds": round(time.monotonic() - ended, 2),
        "same_processes": gate.pids() == pids,
    }


def _accepts(gate: Service) -> bool:
    with gate.client() as client:
        return client.post("/transactions", json={"signature": f"after-{time.time_ns()}"}).is_success


def main() -> None:
    """Measure the ceiling, print the figures and write them."""
    parser = options_of(__doc__, seconds=90.0, limit_mib=160, workers=3, memo_bytes=5000)
    parser.add_argument("--cgroup", action="store_true")
    options = parser.parse_args()
    limit_bytes = options.limit_mib * MIB
    if options.cgroup:
        # A gate that reads its limit from the group it runs in.
        with control_group(limit_bytes) as group:
            with service("/bin/sh", "-c", JOIN, str(group), tidegate_command()) as gate:
                figures = measure(gate, options)
            figures["killed"] = kills(group)
    else:
        with tidegate(memory_limit_bytes=limit_bytes) as gate:
            figures = measure(gate, options)
    write_json(RESULTS / ("ceiling-cgroup.json" if options.cgroup else "ceiling.json"), figures)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
