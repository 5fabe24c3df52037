"""Recommends a deduplication window (TIDEGATE_DEDUP_WINDOW_SECONDS) by how late signatures came again.

If 99.9 % of what came again did so within 62 s of its acceptance, 62 s would have made duplicates of that.
"""

from app.ingest.delay_histogram import DelayHistogram

COVERED = 0.999
# The bounds of the setting.
LEAST_WINDOW_SECONDS, MOST_WINDOW_SECONDS = 0.1, 3600.0


def recommended_window_seconds(delays: DelayHistogram) -> float | None:
    """Return the least window that covers 99.9 % of these delays, within the setting's bounds.

    None if there are no delays.
    """
    if not delays.count:
        return None
    return min(max(delays.bound(COVERED) / 1000, LEAST_WINDOW_SECONDS), MOST_WINDOW_SECONDS)
