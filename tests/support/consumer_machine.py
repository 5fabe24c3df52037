"""Moves of gates, consumers and the clock, each held against a plain model: what law 9 says of them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from app.consumer_errors import TooManyLeases
from app.models import MapName, Reason, Verdict
from app.settings.model import Settings
from app.store.cleanup_severity import CleanupStep, Severity
from app.store.consumers import CommitResult, ConsumerFigures, Consumers, Leases
from app.store.partitions import partition_of, signature_hash
from app.store.positions import Positions
from tests.support.consumer_model import ModelPartition, Span
from tests.support.consumer_moves import MOVES
from tests.support.deliver import connected_gate, transaction
from tests.support.kept import read_kept
from tests.support.keys import keys_without_expiry
from tests.support.ledger import store_key
from tests.support.servers import StoreServer
from tests.support.store_clock import StoreClock

IDLE_MS = 24 * 3600 * 1000
MOST_CONSUMERS = 64
MOST_LEASES = 4  # instead of 64, so that there are often as many as there may be
LIMIT_A_PARTITION = 24


class Handed(NamedTuple):
    """A lease that somebody holds, or thinks to hold."""

    name: str
    partition: int
    number: int
    incarnation: int


class ConsumersAgainstModel(RuleBasedStateMachine):
    """Two gates take transactions in, consumers lease and commit; a plain model says what each may get."""

    def __init__(self, store: StoreServer) -> None:
        super().__init__()
        store.flush()
        self.store = store
        self.runner = asyncio.Runner()
        partitions = 16 if store.clustered else 1
        limits = {f"{name}_limit": 60 * partitions for name in MapName}
        self.settings = Settings(
            store_url=store.url,
            store_deadline_seconds=10,
            dedup_window_seconds=1,
            transaction_retention_seconds=60,
            observation_retention_seconds=60,
            emergency_transaction_retention_seconds=20,
            emergency_observation_retention_seconds=20,
            **(limits | {"transactions_limit": LIMIT_A_PARTITION * partitions}),  # type: ignore[arg-type]
        )
        self.gates = [self.runner.run(connected_gate(self.settings)) for _ in range(2)]
        self.prefixes = self.gates[0].maps.layout.prefixes
        self.clock = StoreClock(store, self.prefixes)
        self.client = store.client()
        self.consumers = [Consumers(gate.session, gate.live.layout) for gate in self.gates]
        self.accepted: dict[str, list[str]] = {prefix: [] for prefix in self.prefixes}
        self.models: dict[str, list[ModelPartition]] = {}
        self.incarnations: dict[str, int] = {}
        self.handed: list[Handed] = []
        self.delivered = 0
        self.positions: list[Positions] = []
        self.clock_went_back = False

    @rule(move=MOVES)
    def make(self, move: tuple[str, dict[str, Any]]) -> None:
        """Make one move; one rule, since Hypothesis leaves out whole rules of many examples."""
        name, arguments = move
        getattr(self, name)(**arguments)

    def accept(self, first: int, count: int, gate: int) -> None:
        """Deliver some, the first of them once more."""
        signatures = [f"signature-{max(self.delivered + first, 0) + at}" for at in range(count)]
        self.delivered = max(self.delivered + first, 0) + count
        answers = self.runner.run(self.gates[gate].flusher.flush([transaction(name) for name in signatures]))
        new = [
            name
            for name, answer in zip(signatures, answers, strict=True)
            if answer.verdict is Verdict.ACCEPTED
        ]
        for number, prefix in enumerate(self.prefixes):
            mine = [one for one in new if partition_of(signature_hash(one), len(self.prefixes)) == number]
            kept, before = read_kept(self.client, prefix), len(self.accepted[prefix])
            stored = [kept[before + at].signature for at in range(len(mine))]
            assert sorted(stored) == sorted(mine)
            self.accepted[prefix] += stored

    def lease(  # noqa: PLR0913, PLR0917  what a lease is made of
        self, name: str, limit: int, most_bytes: int, lease_ms: int, start: Any, gate: int
    ) -> None:
        kept = [read_kept(self.client, prefix) for prefix in self.prefixes]
        arguments = (name, limit, most_bytes, lease_ms, IDLE_MS, MOST_CONSUMERS, start)
        leases, called = self._timed(lambda: _unless_too_many(self.consumers[gate].lease(*arguments)))
        if leases is None:
            self._check_refusal(name, called)
            return
        if name not in self.models:
            self._begin(name, start, leases)
        models = self.models[name]
        for model in models:
            model.clock(called)
        must = [
            model.must_have(called, len(self.accepted[prefix]))
            for model, prefix in zip(models, self.prefixes, strict=True)
        ]
        for number, leased in enumerate(leases.parts):
            if leased is not None:
                assert leased.extract.added == len(self.accepted[self.prefixes[number]])
                models[number].hand_out(leased, kept[number], called, lease_ms)
                self.handed.append(Handed(name, number, leased.number, leased.incarnation))
                self.incarnations[name] = leased.incarnation
            elif limit >= len(self.prefixes):
                assert not must[number], "something was there to hand out"
        extracts = [leased.extract for leased in leases.parts if leased]
        assert sum(extract.end - extract.begin for extract in extracts) <= limit
        assert extracts or not any(must), "something was there to hand out"
        self._check_lag(name, leases, called)

    def _check_refusal(self, name: str, called: Span) -> None:
        """Nobody could be handed anything, and somebody only for want of a commit."""
        models = self.models[name]
        for model in models:
            model.clock(called)
        pairs = [
            (model, len(self.accepted[prefix])) for model, prefix in zip(models, self.prefixes, strict=True)
        ]
        assert not any(model.must_have(called, added) for model, added in pairs)
        assert any(model.must_refuse(called, added) for model, added in pairs)

    def commit(self, back: int, gate: int, name: str) -> None:
        """Commit one of the latest leases, as whoever holds it would, or another consumer."""
        if back < len(self.handed):
            handed = self.handed[-1 - back]
            result, called = self._timed(
                lambda: self.consumers[gate].commit(
                    name, handed.partition, handed.number, handed.incarnation, IDLE_MS
                )
            )
            if name == handed.name and self.incarnations.get(name) == handed.incarnation:
                model = self.models[name][handed.partition]
                model.clock(called)
                assert result is model.commit(handed.number)
            else:
                assert result is CommitResult.UNKNOWN

    def seek(self, name: str, to: Any, gate: int) -> None:
        if name in self.models:
            if to == "position" and not self.positions:
                return
            goal = self.positions[-1] if to == "position" else to
            _, called = self._timed(lambda: self.consumers[gate].seek(name, goal, IDLE_MS))
            for number, (model, prefix) in enumerate(zip(self.models[name], self.prefixes, strict=True)):
                model.clock(called)
                oldest = next(iter(read_kept(self.client, prefix)), len(self.accepted[prefix]))
                ordinals = {"oldest": oldest, "now": len(self.accepted[prefix])}
                model.seek(goal.ordinals[number] if isinstance(goal, Positions) else ordinals[to])

    def note(self, gate: int) -> None:
        """Note where a stream would be now."""
        self.positions.append(self.runner.run(self.gates[gate].accepted.find("now")))

    def forget(self, name: str, gate: int) -> None:
        assert self.runner.run(self.consumers[gate].forget(name)) == (name in self.models)
        self.models.pop(name, None)
        self.incarnations.pop(name, None)

    def move_clock(self, seconds: int, gate: int) -> None:  # noqa: ARG002  all moves have a gate
        self.clock.move(seconds)
        self.clock_went_back |= seconds < 0

    def clean_up(self, severity: Severity, gate: int) -> None:
        name, reason = MapName.TRANSACTIONS, Reason.EMERGENCY
        wanted = CleanupStep(name, severity, reason, 8, dry_run=False, periodic=False)
        for prefix in self.prefixes:
            self.runner.run(self.gates[gate].maps.cleanup_step(prefix, wanted))

    def tick(self, gate: int) -> None:
        self.runner.run(self.gates[gate].maps.sizes())

    def drain(self, name: str, gate: int) -> None:
        """Lease and commit all: then each one accepted was handed out, or told to be missed."""
        if name not in self.models:
            return
        now_ms = self.clock.now_ms()
        ends_ms = [lease.ends.last for model in self.models[name] for lease in model.leases]
        self.clock.move((max(now_ms, *ends_ms, 0) - now_ms) // 1000 + 1)
        while self._lease_and_commit(name, gate):
            pass
        for model, prefix in zip(self.models[name], self.prefixes, strict=True):
            assert model.told == set(range(len(self.accepted[prefix])))
            assert model.leases == []

    def hoard(self, name: str, limit: int, again: int, gate: int) -> None:
        """Take as many leases as there may be, let them run out, and ask for fewer transactions at a time."""
        for _ in range(MOST_LEASES):
            self.accept(0, limit, gate)
            self.lease(name, limit, 1 << 20, 10_000, "oldest", gate)
        self.clock.move(11)
        for _ in range(MOST_LEASES + 1):
            self.lease(name, again, 1 << 20, 40_000, "oldest", gate)

    @invariant()
    def figures_are_those_of_the_model(self) -> None:
        listed, called = self._timed(self.consumers[0].figures)
        figures = {one.name: one for one in listed}
        assert set(figures) == set(self.models)
        for name, models in self.models.items():
            one = figures[name]
            assert one.ordinals == tuple(model.position for model in models)
            assert one.leases == sum(len(model.leases) for model in models)
            parts = zip(models, self.prefixes, strict=True)
            totals = [model.totals(read_kept(self.client, at), len(self.accepted[at])) for model, at in parts]
            assert [one.delivered, one.redelivered, one.missed] == [*map(sum, zip(*totals, strict=True))]
            assert one.unknown_gaps == 0
            self._check_lag(name, one, called)
        assert keys_without_expiry(self.store) == []

    def teardown(self) -> None:
        for gate in self.gates:
            self.runner.run(gate.session.close())
        self.runner.close()
        self.client.close()
        self.clock.close()

    def _lease_and_commit(self, name: str, gate: int) -> bool:
        before = len(self.handed)
        self.lease(name, 100, 1 << 20, 40_000, "oldest", gate)
        new = len(self.handed) - before
        for back in range(new):
            self.commit(back, gate, name)
        return new > 0

    def _timed(self, call: Callable[[], Any]) -> tuple[Any, Span]:
        before = self.clock.now_ms()
        result = self.runner.run(call())
        return result, Span(before, self.clock.now_ms())

    def _begin(self, name: str, start: str, leases: Leases) -> None:
        """Make the model of a consumer that this lease made; a Cluster's servers do not begin at once."""
        [figures] = [one for one in self.runner.run(self.consumers[0].figures()) if one.name == name]
        self.models[name] = []
        for number, prefix in enumerate(self.prefixes):
            leased, position = leases.parts[number], figures.ordinals[number]
            is_blind = self._record(name, prefix)["is_blind"]
            if leased is not None:
                assert leased.extract.missed in (0, None)
                position, is_blind = leased.extract.begin, leased.extract.missed is None
            # Where the same moment came twice, some may have left that were accepted when it came first.
            assert not is_blind or (start == "now" and number > 0 and self.clock_went_back)
            added, model = len(self.accepted[prefix]), ModelPartition(position, MOST_LEASES, is_blind)
            oldest = next(iter(read_kept(self.client, prefix)), added)
            assert start == "now" or position == oldest
            assert start == "oldest" or self.store.clustered or position == added
            model.told.update(range(position))
            self.models[name].append(model)

    def _record(self, name: str, prefix: str) -> dict[str, Any]:
        """Read what a partition has of a consumer (consumer.lua)."""
        text = self.client.get(store_key(prefix, "consumer", name))
        assert isinstance(text, bytes)
        found = msgspec.msgpack.decode(text)
        assert isinstance(found, dict)
        return found

    def _check_lag(self, name: str, told: Leases | ConsumerFigures, called: Span) -> None:
        """How many are not committed, and how long ago the oldest of those that are kept was accepted."""
        pairs = zip(self.models[name], self.prefixes, strict=True)
        assert told.lag_transactions == sum(model.lag(len(self.accepted[prefix])) for model, prefix in pairs)
        accepted_ms = self._oldest_accepted_ms(name)
        least, most = (max(now - min(accepted_ms, default=now), 0) for now in (called.first, called.last))
        assert least <= round(told.lag_seconds * 1000) <= most

    def _oldest_accepted_ms(self, name: str) -> list[int]:
        """When the oldest one of each partition was accepted that is kept and not committed."""
        found = list[int]()
        for model, prefix in zip(self.models[name], self.prefixes, strict=True):
            waiting = {one for lease in model.leases for one in range(lease.begin, lease.finish)}
            waiting.update(range(model.position, len(self.accepted[prefix])))
            kept = read_kept(self.client, prefix).items()
            found += [one.accepted_ms for ordinal, one in kept if ordinal in waiting][:1]
        return found


async def _unless_too_many(call: Awaitable[Leases]) -> Leases | None:
    try:
        return await call
    except TooManyLeases:
        return None
