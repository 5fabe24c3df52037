"""Reads the history of every gate back from the store, page by page."""

import asyncio
from dataclasses import replace

from app.reports.fold import Fold
from app.reports.period import MINUTE_MS, Period
from app.reports.samples import UnusableSample, decoded
from app.store.history import MOST_SAMPLES, PAGE_SAMPLES, StoredSamples

# Beyond the start of a period: what is needed to know which totals it began with.
BASELINE_MS = 10 * MINUTE_MS


async def read_history(stored: StoredSamples, period: Period, warmup_seconds: float) -> Fold:
    """Fold what all gates did in a period, with one gate's samples in memory at a time.

    Raises:
        StoreError: it could not be read.
    """
    since_ms = period.from_ms - round(warmup_seconds * 1000) - BASELINE_MS
    gates = await stored.gates()
    begins = [_began_ms(await stored.first(gate)) for gate in gates]
    fold = Fold(replace(period, known_from_ms=min(begins, default=None)), since_ms)
    for gate in reversed(gates):
        samples = await _samples_since(stored, gate, since_ms)
        await asyncio.to_thread(fold.add_gate, gate, samples)
    return fold


def _began_ms(first: bytes | None) -> int:
    """Return the moment of a gate's first sample; 0 if it cannot be read, as the gate may be as old."""
    try:
        return decoded(first).taken_ms if first else 0
    except UnusableSample:
        return 0


async def _samples_since(stored: StoredSamples, gate: str, since_ms: int) -> list[bytes]:
    """Read all pages back to the first one that is older altogether, or the whole history."""
    pages: list[list[bytes]] = []
    for number in range(MOST_SAMPLES // PAGE_SAMPLES + 1):
        page = await stored.page(gate, number)
        if not page or await asyncio.to_thread(_latest_ms, page) < since_ms:
            break
        pages.append(page)
    return [raw for page in reversed(pages) for raw in page]


def _latest_ms(page: list[bytes]) -> float:
    """Return the latest moment of a page; one without a usable sample counts as endlessly late."""
    latest = float("inf")
    for raw in page:
        try:
            taken_ms = decoded(raw).taken_ms
        except UnusableSample:
            continue
        latest = taken_ms if latest == float("inf") else max(latest, taken_ms)
    return latest
