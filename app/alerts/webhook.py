"""Splits the body of a webhook into alerts, each by itself: one that cannot be read costs no other.

Alertmanager's payload is version 4; Grafana sends the same with members of its own, as version 1. What is not
named here is ignored.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from app.alerts.alert import MAX_ALERT_BYTES
from app.decode.array_scanner import SPACE
from app.decode.arrays import array_items
from app.decode.surrogates import shown_as_replaced
from app.errors import BodyTooLarge, InvalidRequest, MalformedBody

MAX_ALERTS = 2_000


class _Webhook(msgspec.Struct):
    version: Literal["4", "1"]
    alerts: msgspec.Raw


_webhook_decoder = msgspec.json.Decoder(_Webhook)


async def decode_webhook(body: bytes) -> Sequence[bytes | int]:
    """Split a webhook into its alerts, each as JSON; one that is too long is its length in bytes instead.

    Lone surrogates, such as of an annotation that was cut within an emoji, are U+FFFD in them.

    Raises:
        MalformedBody: not JSON.
        InvalidRequest: JSON, but no webhook of a version that is understood.
        BodyTooLarge: more than 2,000 alerts.
    """
    if not body.strip(SPACE):
        raise MalformedBody("the body is empty; send an Alertmanager webhook, version 4")
    body = await shown_as_replaced(body)
    try:
        body.decode()
        alerts = bytes(_webhook_decoder.decode(body).alerts)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"not an Alertmanager webhook of version 4: {error}") from None
    except RecursionError:
        raise MalformedBody("JSON is nested too deeply") from None
    except ValueError as error:
        raise MalformedBody(f"the body is not JSON: {error}") from None
    if not alerts.startswith(b"["):
        raise InvalidRequest("not an Alertmanager webhook of version 4: `alerts` is not an array")
    try:
        return await array_items(alerts, MAX_ALERT_BYTES, MAX_ALERTS)
    except BodyTooLarge:
        raise BodyTooLarge(f"more than {MAX_ALERTS} alerts: set max_alerts in Alertmanager") from None
