"""Whether this gate can take traffic, for `/readyz`."""

from app.auth import Access
from app.errors import MemoryPressure, StoreFull
from app.guard.guard import Guard
from app.observability.gate_state import GateReadiness, GateState
from app.store.maps import Maps
from app.store.replication import Shortage
from app.store.session import StoreSession
from app.store.silent_sentinels import silent_sentinels
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
            reasons.append(self._session.advice_now.get(StoreFull.kind, StoreFull.advice))
        elif (shortage := self._shortage()) is not None and shortage.is_everywhere:
            reasons.append(shortage.sentence)
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
        shortage, down = self._shortage(), self._session.down_partitions
        of_store = (
            down.sentence(self._session.server),
            self._silence(),
            shortage.sentence if shortage is not None and not shortage.is_everywhere else None,
        )
        others = (gate.advice for gate in sorted(self._maps.other_gates))
        return [*filter(None, of_store), *others, *self._workers.warnings().values()]

    def _shortage(self) -> Shortage | None:
        """Tell of replicas that are missing, if any are wanted."""
        replication = self._maps.replication
        return None if replication is None else replication.shortage

    def _silence(self) -> str | None:
        """Tell of sentinels that do not answer, without their addresses, as everybody may read this."""
        count = len(silent_sentinels(self._session.servers))
        return (
            f"{count} of the sentinels have not answered for a while; GET /stats names them"
            if count
            else None
        )
