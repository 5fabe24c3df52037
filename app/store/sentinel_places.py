"""Where the sentinels of a service are, by what each of them says of the others.

Each sentinel hears from the others where they are. When one starts anew elsewhere, as a pod does, the others
replace its address as soon as they hear from it there; of one that is gone for good they tell until somebody
orders them to forget it. One that was away itself may tell of what was. So what most of them say holds. Say
A, B, C and D are four of five sentinels, and E was moved from 10.0.0.5 to 10.0.0.9 while D was cut off:

    sentinel   says that E is at
    A, B, C    10.0.0.9:26379
    D          10.0.0.5:26379

Three of four name 10.0.0.9. None tells of itself: where A is, at least two of B, C and D have to say.
"""

from collections import Counter
from collections.abc import Mapping

from app.store.sentinel_agreement import Place


def named_by_most(told: Mapping[bytes, Mapping[bytes, Place]]) -> dict[bytes, Place]:
    """Return where each sentinel is, by its id, according to most of the others that have told, by theirs."""
    votes = Counter(one for others in told.values() for one in others.items())
    return {
        sentinel: place
        for (sentinel, place), count in votes.items()
        if 2 * count > len(told.keys() - {sentinel})
    }
