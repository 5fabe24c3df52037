"""Whether this gate can take traffic, for `/readyz`."""

from app.auth import Access
from app.errors import MemoryPressure, StoreFull
from app.guard.guard import Guard
from app.observability.gate_state import GateReadiness, GateState
from app.store.maps import Maps
from app.store.sentinel_primary import silent_sentinels
from app.store.session import StoreSession
from app.workers.pool.pool import WorkerPool


class ReadinessCheck:
    """Asks every part that can keep the gate from taking traffic."""

    def __init__(
        self, session: StoreSession, maps: Maps, access: Access, guard: Guard, workers: WorkerPool
    ) -> None:
        self._session, self._maps, self._access = session, maps, access
        self._guard, self._workers = guard, workers
        self.is_stopping = False
        """Set once the gate was told to stop."""

    def reasons(self) -> list[str]:
        """Why this gate cannot take traffic now; empty when it can."""
        reasons, down = [], self._session.down_reason
        if self.is_stopping:
            reasons.append("the gate is stopping")
        if down is not None:
            reasons.append(f"the store is down ({down.kind}): {down.advice}")
        elif self._maps.is_full:
            reasons.append(f"the store is full: {StoreFull.advice}")
        elif self._maps.replication is not None and self._maps.replication.shortage is not None:
            reasons.append(self._maps.replication.shortage)
        if self._access.ingest.is_shut:
            reasons.append("the file of TIDEGATE_INGEST_TOKENS_FILE holds no token: nobody is admitted")
        if self._guard.headroom.refuses:
            reasons.append(f"{MemoryPressure.title}: see GET /memory")
        return reasons + self._workers.unready_reasons()

    def now(self) -> GateReadiness:
        """Return all that there is to say, with a word for the state."""
        reasons = self.reasons()
        return GateReadiness(self._state(reasons), reasons, self.warnings())

    def _state(self, reasons: list[str]) -> GateState:
        if self.is_stopping:
            return GateState.STOPPING
        if self._session.down_reason is not None:
            return GateState.STORE_DOWN
        return GateState.REFUSING if reasons else GateState.READY

    def warnings(self) -> list[str]:
        """What somebody should look at although this gate can take traffic."""
        silent = len(silent_sentinels(self._session.servers))
        of_store = (
            self._session.down_partitions.sentence(self._session.server),
            f"{silent} of the sentinels have not answered for a while; GET /stats names them"
            if silent
            else "",
        )
        others = (gate.advice for gate in sorted(self._maps.other_gates))
        return [*filter(None, of_store), *others, *self._workers.warnings().values()]
