"""Proves or refutes a suspicion: does what is left after collecting and trimming go on growing?

A trim gives back more than what grew, since free memory lay in the heap before, too. So what is left after
one trim is compared with what is left after the next. The time from one to the next is an *interval*, a tenth
of the window that rose. It takes three trims at least, and growth in each of the two intervals between them.
An example, of a leak of 2 MiB a second in a window of 300 s, with intervals of 30 s:

    trim at      0 s      30 s      60 s
    left         70 MiB   130 MiB   190 MiB    -> grew by 60 and 60 MiB: proven
    left         70 MiB   130 MiB   131 MiB    -> 60 and 1 MiB, a step so far: up to two more intervals decide
    left         70 MiB    70 MiB    71 MiB    -> it was garbage or free memory: refuted

Garbage is collected by then, and a step up lies in one interval only.
"""

from itertools import pairwise

# A suspicion costs a few trims, but a proof is acted on. So a proof takes this many times the slope that was
# suspicious: in the slow window 7 MiB/h instead of 5. Chosen by simulation (docs/leak-detection.md).
PROOF_FACTOR = 1.4
LEAST_INTERVALS = 2
# Up to so many more are needed for a proof if there are doubts. Up to so many more are waited for if the
# intervals needed neither prove nor refute.
MORE_INTERVALS_IN_DOUBT, MORE_INTERVALS_WHEN_UNDECIDED = 2, 2
# An interval's length as a share of the window.
INTERVAL_SHARE = 0.1
# Without the interval that grew most, the others have to reach this share of the least rate.
REST_SHARE = 0.65
# An interval with more than this many times the least growth is a step, unless the others keep up with it.
STEP, KEEPING_UP_SHARE = 8, 0.25
# What was explained and is now kept by the allocator is no growth: resident bytes have to grow by this share.
RESIDENT_SHARE = 0.5
# Below this share of the least rate the suspicion is refuted early.
HOPELESS_SHARE = 0.25


class Confirmation:
    """Takes a reading just after each trim, until `is_proven` or `is_refuted`.

    `suspicious_bytes_per_second` is the least slope that raised the suspicion; a proof takes `PROOF_FACTOR`
    times as much. `doubts` counts the reasons to look for longer: earlier suspicions of the same tier that
    were refuted, and load that comes in bursts. A proof needs one interval more for each, two more at most.
    """

    def __init__(
        self, at_seconds: float, window_seconds: float, suspicious_bytes_per_second: float, doubts: int
    ) -> None:
        self._interval_seconds = INTERVAL_SHARE * window_seconds
        self._bytes_per_second = PROOF_FACTOR * suspicious_bytes_per_second  # the least that proves a leak
        self._needed = LEAST_INTERVALS + min(doubts, MORE_INTERVALS_IN_DOUBT)
        self._started = at_seconds
        self._resident: list[int] = []
        self._unexplained: list[int] = []
        self.due_at_seconds = at_seconds
        """When the next trim is due."""
        self.is_proven = self.is_refuted = False

    def add(self, at_seconds: float, resident_bytes: int, explained_bytes: int) -> None:
        """Take what is left after a trim."""
        if not self._resident:
            self._started = at_seconds
        self._resident.append(resident_bytes)
        self._unexplained.append(resident_bytes - explained_bytes)
        self.due_at_seconds = at_seconds + self._interval_seconds
        intervals = len(self._resident) - 1
        if intervals < LEAST_INTERVALS:
            return
        least = self._bytes_per_second * (at_seconds - self._started) / intervals
        self.is_proven = intervals >= self._needed and self._grew(least)
        self.is_refuted = not self.is_proven and (
            self._unexplained[-1] - self._unexplained[0] < HOPELESS_SHARE * least * intervals
            or intervals >= self._needed + MORE_INTERVALS_WHEN_UNDECIDED
        )

    def may_trim(self, at_seconds: float, in_flight_bytes: int) -> bool:
        """Whether what is in flight is too little to blur an interval's growth, or stays for too long."""
        blur = self._bytes_per_second * self._interval_seconds / 2
        return in_flight_bytes <= blur or at_seconds >= self.due_at_seconds + self._interval_seconds / 2

    def is_forgotten(self, at_seconds: float) -> bool:
        """Whether nobody trimmed for more than an interval after it was due."""
        return at_seconds > self.due_at_seconds + self._interval_seconds

    def _grew(self, least_bytes: float) -> bool:
        """Tell whether memory grew by as much in each interval, more or less, and enough in all."""
        growths = sorted(later - earlier for earlier, later in pairwise(self._unexplained))
        *others, largest = growths
        rest = sum(others) / len(others)
        resident = self._resident[-1] - min(self._resident[:2])
        return (
            sum(growths) >= least_bytes * len(growths)
            and rest >= REST_SHARE * least_bytes
            and (largest <= STEP * least_bytes or rest >= KEEPING_UP_SHARE * largest)
            and resident >= RESIDENT_SHARE * least_bytes * len(growths)
        )
