"""The cooldown of alerts: what was done for one is not done again for a while (2 minutes by default).

Remembered are two things, in memory that is bounded. A map is cleaned once a cooldown: after a normal cleanup
of transactions for one alert, another alert gets none of them, but an emergency one still. And a firing is
acted on once a cooldown, however often Alertmanager repeats it. The cooldown of a leaking process is another
one, in app/guard/leak/cooldown.py.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from app.alerts.alert import Identity
from app.models import MapName, Mode

IDENTITIES_KEPT = 1_000


class CleanupRequest(NamedTuple):
    """A cleanup that an alert asks for; `identity` is that of its firing."""

    identity: Identity
    mode: Mode
    maps: frozenset[MapName]


class Cooldown:
    """Remembers what was done for alerts: one cleanup a map and mode, and one a firing, in a cooldown."""

    def __init__(self, seconds: Callable[[], float], clock: Callable[[], float]) -> None:
        self._seconds, self._clock = seconds, clock
        self._acted_at: dict[tuple[MapName, Mode], float] = {}
        self._identities: OrderedDict[Identity, float] = OrderedDict()

    def knows(self, identity: Identity) -> bool:
        """Whether this firing was acted on within the cooldown."""
        return self._is_recent(self._identities.get(identity))

    def due(self, mode: Mode, maps: frozenset[MapName]) -> frozenset[MapName]:
        """Return the maps that may be cleaned up now; an emergency run has done a normal one's work."""
        return frozenset(
            name
            for name in maps
            if not self._is_recent(self._acted_at.get((name, mode)))
            and not self._is_recent(self._acted_at.get((name, Mode.EMERGENCY)))
        )

    def begin(self, request: CleanupRequest) -> None:
        """Note that a cleanup is begun."""
        now = self._clock()
        self._acted_at |= {(name, request.mode): now for name in request.maps}
        self._identities[request.identity] = now
        self._identities.move_to_end(request.identity)
        if len(self._identities) > IDENTITIES_KEPT:
            self._identities.popitem(last=False)

    def _is_recent(self, at: float | None) -> bool:
        return at is not None and self._clock() - at < self._seconds()
