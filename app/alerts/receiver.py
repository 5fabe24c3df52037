"""Receives alerts: has each decided on, runs cleanups after the answer, and keeps the last 50 to be shown."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from copy import copy
from typing import Literal

import structlog
from pydantic import Field

from app.alerts.alert import Alert, InvalidAlert, decode_alert
from app.alerts.cooldown import CleanupRequest, Cooldown
from app.alerts.decision import Action, Decision, decide
from app.alerts.webhook import decode_webhook
from app.decode.event_loop_turns import next_turn, portions
from app.errors import StoreError
from app.metrics.catalogue import Metrics
from app.models import JsonModel, MapName, Mode, Trigger

log = structlog.get_logger()

ALERTS_KEPT = 50
RETRY_SECONDS = 5.0
# Others are served after so many; to decide on one takes up to 20 microseconds.
ALERTS_AT_ONCE = 100
TASK = "alerts"


class AlertAnswer(JsonModel):
    """One alert, what was done about it, and why; one that cannot be read has no name or fingerprint."""

    fingerprint: str | None
    status: Literal["firing", "resolved", "unknown"]
    alertname: str | None
    action: Action
    detail: str


class ReceivedAlert(AlertAnswer):
    """An alert that was received, with the time at which it came."""

    received_ms: int = Field(description="Milliseconds since the epoch, by the gate's clock.")


RunCleanup = Callable[[Trigger, Mode, frozenset[MapName]], Awaitable[object]]


class AlertReceiver:
    """Acts on firing alerts labelled `action="cleanup"`, once per cooldown."""

    def __init__(
        self,
        run_cleanup: RunCleanup,
        metrics: Metrics,
        down_reason: Callable[[], StoreError | None],
        cooldown_seconds: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run_cleanup, self._metrics = run_cleanup, metrics
        metrics.alerts_received_total.start(
            *(("firing", action) for action in Action if action is not Action.RESOLVED),
            ("resolved", Action.RESOLVED),
            ("unknown", Action.INVALID),
        )
        self._down_reason = down_reason
        self._cooldown_seconds, self._clock = cooldown_seconds, clock
        self._cooldown = Cooldown(cooldown_seconds, clock)
        self._running: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._up = metrics.background_task_up.labels(TASK)
        self._up.set(1)
        self.received: deque[ReceivedAlert] = deque(maxlen=ALERTS_KEPT)

    async def receive(self, body: bytes) -> list[AlertAnswer]:
        """Decide on every alert of a webhook and start the cleanups; returns before they end.

        Raises:
            ClientError: the body is no webhook.
            StoreError: a cleanup is asked for and the store is down; nothing was taken in.
        """
        raws = await decode_webhook(body)
        alerts = [_judge(raw) async for some in portions(raws, ALERTS_AT_ONCE) for raw in some]
        await self._refuse_while_down(alerts)
        answers = list[AlertAnswer]()
        async for some in portions(alerts, ALERTS_AT_ONCE):
            answers += [_answer(alert, self._act(alert)) for alert in some]
        await next_turn()
        self._record(answers)
        return answers

    async def close(self) -> None:
        """Let the cleanups that run come to their end; none is tried again."""
        self._stopping.set()
        await asyncio.gather(*self._running)

    async def _refuse_while_down(self, alerts: Sequence[Alert | InvalidAlert]) -> None:
        if self._down_reason() is None:
            return
        async for some in portions(alerts, ALERTS_AT_ONCE):
            reason = self._down_reason()
            if reason is not None and any(decide(alert, self._cooldown).request for alert in some):
                raise copy(reason)

    def _act(self, alert: Alert | InvalidAlert) -> Decision:
        decision = decide(alert, self._cooldown)
        if decision.request is not None:
            self._cooldown.begin(decision.request)
            task = asyncio.create_task(self._clean_up(decision.request), name="alert-cleanup")
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return decision

    def _record(self, answers: Sequence[AlertAnswer]) -> None:
        now_ms = int(time.time() * 1000)
        for (status, action), amount in Counter((one.status, one.action) for one in answers).items():
            self._metrics.alerts_received_total.labels(status, action).inc(amount)
        for answer in answers[-ALERTS_KEPT:]:
            self.received.appendleft(ReceivedAlert(**dict(answer), received_ms=now_ms))
        for answer in answers:
            if answer.action is Action.CLEANUP:
                log.info("alert acted on", **answer.model_dump(mode="json", exclude={"status", "action"}))
        if answers:
            log.info("alerts received", **Counter(str(answer.action) for answer in answers))

    async def _clean_up(self, request: CleanupRequest) -> None:
        """Try until it is done or the cooldown is over: then the next delivery has its turn."""
        give_up_at = self._clock() + self._cooldown_seconds()
        while not await self._attempt(request) and not self._stopping.is_set() and self._clock() < give_up_at:
            with suppress(TimeoutError):
                async with asyncio.timeout(RETRY_SECONDS):
                    await self._stopping.wait()
        # Whether it was done or given up, nothing is tried any more.
        self._up.set(1)

    async def _attempt(self, request: CleanupRequest) -> bool:
        try:
            await self._run_cleanup(Trigger.ALERT, request.mode, request.maps)
        except StoreError:
            self._up.set(0)
            return False
        except Exception:
            self._up.set(0)
            log.exception("background task failed", task=TASK)
            return False
        self._up.set(1)
        return True


def _judge(raw: bytes | int) -> Alert | InvalidAlert:
    try:
        return decode_alert(raw)
    except InvalidAlert as error:
        # A new one: the one raised holds, through its traceback, the whole body.
        return InvalidAlert(str(error))


def _answer(alert: Alert | InvalidAlert, decision: Decision) -> AlertAnswer:
    action, detail = decision.action, decision.detail
    if isinstance(alert, InvalidAlert):
        return AlertAnswer(fingerprint=None, status="unknown", alertname=None, action=action, detail=detail)
    return AlertAnswer(
        fingerprint=alert.fingerprint,
        status=alert.status,
        alertname=alert.name,
        action=action,
        detail=detail,
    )
