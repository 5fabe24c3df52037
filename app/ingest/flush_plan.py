"""In which order the transactions of a flush go to the store: what is taken for new first, with little moved.

Requests are mostly all new or all known, so they are moved whole; only what is left of a mixture is picked
out one by one.
"""

from collections.abc import Sequence

from app.models import Answers

# Smaller requests are looked at together with their neighbours.
ALONE = 50


def runs_of(sizes: Sequence[int]) -> list[slice]:
    """Where requests of these sizes lie one after another, small ones joined."""
    runs, start, at = [], 0, 0
    for size in sizes:
        if size >= ALONE:
            if at > start:
                runs.append(slice(start, at))
            runs.append(slice(at, at + size))
            start = at + size
        at += size
    if at > start:
        runs.append(slice(start, at))
    return runs


def new_first(flags: Sequence[bytes]) -> list[int]:
    """The places of runs: those all of whose flags are 0, those with both, those that are all 1."""
    return sorted(range(len(flags)), key=lambda at: (1 in flags[at]) + (0 not in flags[at]))


def moved_back(answers: Answers, places: Sequence[slice]) -> Answers:
    """The answers of what was taken from these places, where they belong."""
    clocks, codes, at = [0] * len(answers), [0] * len(answers), 0
    for place in places:
        end = at + place.stop - place.start
        clocks[place], codes[place] = answers.clocks[at:end], answers.codes[at:end]
        at = end
    return Answers(clocks, codes)


def zeros(flags: bytes) -> Sequence[int]:
    """The places of the flags that are 0; a range if all of these come first."""
    first = flags.find(1)
    if first < 0:
        return range(len(flags))
    if flags.find(0, first) < 0:
        return range(first)
    return [at for at, flag in enumerate(flags) if not flag]


def these_first(places: Sequence[int], count: int) -> Sequence[int]:
    """All places below `count`, these first; a range if they are already."""
    if isinstance(places, range) or not places:
        return range(count)
    rest = set(places)
    return [*places, *(at for at in range(count) if at not in rest)]
