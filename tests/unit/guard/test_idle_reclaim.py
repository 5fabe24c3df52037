"""When a process collects and trims by itself, with a made-up clock and made-up memory."""

from app.guard.idle_reclaim import (
    LONGEST_BUSY_SECONDS,
    LONGEST_PAUSE_SECONDS,
    LONGEST_REST_SECONDS,
    LOOK_SECONDS,
    Means,
    Reclaimer,
)

MIB = 1024 * 1024


class Made:
    """A process made of numbers: what is in use, what is free but held, and what a round costs."""

    def __init__(self) -> None:
        self.now, self.cpu, self.in_use, self.held = 1000.0, 0.0, 70 * MIB, 0
        self.load, self.round_seconds = 0.0, 0.0
        self.collected, self.trimmed = 0, 0
        self.reclaimer = Reclaimer(
            Means(
                resident_bytes=lambda: self.in_use + self.held,
                collect=self._collect,
                trim=self._trim,
                monotonic=lambda: self.now,
                cpu_seconds=lambda: self.cpu,
            )
        )

    async def pass_by(self, seconds: float) -> None:
        """Let time pass, a look each half second."""
        for _ in range(round(seconds / LOOK_SECONDS)):
            self.now += LOOK_SECONDS
            self.cpu += LOOK_SECONDS * self.load
            await self.reclaimer.tick()

    async def storm(self, size: int, seconds: float) -> None:
        """Let clients hold so many bytes for some seconds, and go: then these can be given back."""
        self.in_use += size
        await self.pass_by(seconds)
        self.in_use, self.held = self.in_use - size, size

    def _collect(self) -> None:
        self.collected += 1
        self.now += 5 * self.round_seconds  # others are at work on the machine
        self.cpu += self.round_seconds

    def _trim(self) -> None:
        self.trimmed += 1
        self.held = 0


async def test_what_a_burst_left_behind_is_given_back_at_the_next_look() -> None:
    made = Made()
    await made.pass_by(5)
    assert made.trimmed == 0, "nothing was above the least"
    made.held = 200 * MIB
    await made.pass_by(LOOK_SECONDS)
    assert (made.collected, made.trimmed, made.held) == (1, 1, 0)
    await made.pass_by(60)
    assert made.trimmed == 1


async def test_what_becomes_free_without_a_change_of_resident_bytes_is_given_back_too() -> None:
    """Connections that were held open for long: closed, they leave free pages, and no figure changes."""
    made = Made()
    await made.pass_by(1)
    await made.storm(80 * MIB, 300)
    await made.pass_by(LONGEST_PAUSE_SECONDS + LOOK_SECONDS)
    assert made.held == 0


async def test_memory_that_is_in_use_is_asked_for_less_and_less_often() -> None:
    made = Made()
    await made.pass_by(1)
    made.in_use += 80 * MIB
    await made.pass_by(30)
    first = made.trimmed
    await made.pass_by(600)
    assert made.trimmed - first <= 600 / LONGEST_PAUSE_SECONDS + 1


async def test_a_new_burst_does_not_wait_for_the_pause_of_the_last_round() -> None:
    made = Made()
    await made.pass_by(1)
    made.in_use += 80 * MIB
    await made.pass_by(120)
    made.held = 50 * MIB
    await made.pass_by(LOOK_SECONDS)
    assert made.held == 0


async def test_a_busy_process_is_left_alone_but_not_for_ever() -> None:
    made = Made()
    await made.pass_by(1)
    made.held, made.load = 50 * MIB, 0.9
    await made.pass_by(LONGEST_BUSY_SECONDS - LOOK_SECONDS)
    assert made.trimmed == 0
    await made.pass_by(2 * LOOK_SECONDS)
    assert made.trimmed == 1


async def test_the_longer_rounds_take_the_processor_the_rarer_they_are() -> None:
    made = Made()
    await made.pass_by(1)
    for round_seconds, seconds_between in ((0.01, 15), (0.02, 30), (0.04, LONGEST_REST_SECONDS)):
        made.round_seconds = round_seconds
        began, rounds = made.now, made.trimmed
        for _ in range(600):
            made.held = 30 * MIB
            await made.pass_by(LOOK_SECONDS)
        assert 8 <= made.trimmed - rounds <= (made.now - began) / seconds_between + 2


async def test_what_a_storm_leaves_does_not_wait_long_for_the_rest_after_a_round_in_its_midst() -> None:
    made = Made()
    await made.pass_by(1)
    made.round_seconds = 0.08
    await made.storm(40 * MIB, 1)
    assert made.trimmed == 1
    await made.pass_by(LONGEST_REST_SECONDS + LOOK_SECONDS)
    assert made.held == 0


async def test_the_more_there_may_be_to_free_the_sooner_comes_the_next_round() -> None:
    made = Made()
    await made.pass_by(1)
    made.round_seconds = 0.04
    await made.storm(480 * MIB, 60)
    await made.pass_by(LONGEST_PAUSE_SECONDS + LOOK_SECONDS)
    assert made.held == 0
