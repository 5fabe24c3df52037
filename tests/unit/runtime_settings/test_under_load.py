"""Law 1 through the API of two gates, while the window is changed again and again."""

import asyncio
import itertools
from collections import defaultdict
from dataclasses import dataclass, field

import pytest
import redis

from tests.conftest import MakeSettings
from tests.support.api_calls import QUIET, Api, open_api
from tests.support.servers import StoreServer
from tests.support.settings_calls import patched

WINDOWS = (0.8, 0.2, 0.5, 0.1, 0.6)
BETWEEN_CHANGES_SECONDS = 0.5
# Between two deliveries of one signature, on a machine that is busy with other things.
PATIENCE_MS = 1500

pytestmark = pytest.mark.usefixtures("quick_ticks")


@dataclass
class Watch:
    """When each window was in force by the store's clock, and when each signature was accepted."""

    clock: redis.Redis
    in_force: list[tuple[int, int, float]] = field(default_factory=list)
    """From when on it may be in force, from when on it surely is, and the window."""
    accepted: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    is_over: bool = False

    def now_ms(self) -> int:
        seconds, microseconds = self.clock.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    def windows(self, accepted_ms: int) -> list[float]:
        """Every window that may have been in force at that moment."""
        sure = [at for at, (_, surely, _) in enumerate(self.in_force) if surely < accepted_ms]
        later = self.in_force[sure[-1] :] if sure else self.in_force
        return [window for maybe, _, window in later if maybe <= accepted_ms]


async def _deliver(watch: Watch, gates: tuple[Api, Api], signature: str) -> None:
    for gate in itertools.cycle(gates):
        answer = await gate.post(signature)
        if answer["status"] == "accepted":
            watch.accepted[signature].append(answer["first_seen_ms"])
        else:
            assert answer["first_seen_ms"] == watch.accepted[signature][-1]
        if watch.is_over:
            return


async def _change(watch: Watch, gates: tuple[Api, Api]) -> None:
    for window, gate in zip(WINDOWS, itertools.cycle(gates)):
        before_ms = watch.now_ms()
        await patched(gate, dedup_window_seconds=window)
        watch.in_force.append((before_ms, watch.now_ms(), window))
        await asyncio.sleep(BETWEEN_CHANGES_SECONDS)
    watch.is_over = True


async def test_whichever_gate_is_asked_no_duplicate_is_accepted_inside_its_window_and_each_one_after_it(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    settings = settings_for(valkey, dedup_window_seconds=0.3, **QUIET)
    with valkey.nodes()[0] as clock:
        watch = Watch(clock)
        watch.in_force.append((0, 0, 0.3))
        async with open_api(settings) as one, open_api(settings) as two, asyncio.TaskGroup() as tasks:
            for number in range(6):
                tasks.create_task(_deliver(watch, (one, two), f"again-{number}"))
            await _change(watch, (one, two))
        assert all(len(times) > len(WINDOWS) for times in watch.accepted.values())
        for first_ms, second_ms in itertools.chain(*map(itertools.pairwise, watch.accepted.values())):
            windows = watch.windows(first_ms)
            assert min(windows) * 1000 <= second_ms - first_ms <= max(windows) * 1000 + PATIENCE_MS, windows
