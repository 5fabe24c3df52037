"""What was done on behalf of alerts not long ago, so that it is not done again."""

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from app.alerts.webhook import Identity
from app.models import MapName, Mode

IDENTITIES_KEPT = 1_000


class CleanupRequest(NamedTuple):
    """A cleanup that an alert asks for."""

    identity: Identity
    mode: Mode
    maps: frozenset[MapName]


class Cooldown:
    """One action a map and mode, and one a firing, until the cooldown has passed."""

    def __init__(self, seconds: Callable[[], float], clock: Callable[[], float]) -> None:
        self._seconds, self._clock = seconds, clock
        self._acted_at: dict[tuple[MapName, Mode], float] = {}
        self._identities: OrderedDict[Identity, float] = OrderedDict()

    def knows(self, identity: Identity) -> bool:
        """Whether this firing was acted on within the cooldown."""
        return self._is_recent(self._identities.get(identity))

    def due(self, mode: Mode, maps: frozenset[MapName]) -> frozenset[MapName]:
        """Those of the maps that may be cleaned up now; an emergency run has done a normal one's work."""
        return frozenset(
            name
            for name in maps
            if not self._is_recent(self._acted_at.get((name, mode)))
            and not self._is_recent(self._acted_at.get((name, Mode.EMERGENCY)))
        )

    def begin(self, request: CleanupRequest) -> None:
        """Note that this is being done."""
        now = self._clock()
        self._acted_at |= {(name, request.mode): now for name in request.maps}
        self._identities[request.identity] = now
        self._identities.move_to_end(request.identity)
        if len(self._identities) > IDENTITIES_KEPT:
            self._identities.popitem(last=False)

    def _is_recent(self, at: float | None) -> bool:
        return at is not None and self._clock() - at < self._seconds()
