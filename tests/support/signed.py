"""Signs bodies as providers do, for tests of those who verify them."""

import hmac
from datetime import UTC, datetime

from standardwebhooks.webhooks import Webhook

QUICKNODE_SECRET = "qnsec_b3BlbnNzbCBtYWRlIHRoaXM="
WEBHOOK_SECRET = "whsec_plJ3nmyCDGBKInavdOK15jsl"
NONCE = "8f0c2d9b41e65a77"


def quicknode_headers(
    body: bytes, second: int, secret: str = QUICKNODE_SECRET, nonce: str = NONCE
) -> dict[bytes, bytes]:
    """The headers with which QuickNode would send this body at this second."""
    signature = hmac.digest(secret.encode(), f"{nonce}{second}".encode() + body, "sha256").hex()
    return {
        b"x-qn-nonce": nonce.encode(),
        b"x-qn-timestamp": str(second).encode(),
        b"x-qn-signature": signature.encode(),
    }


def webhook_headers(body: bytes, second: int, *secrets: str) -> dict[bytes, bytes]:
    """The headers of Standard Webhooks, made by their own library, with a signature for each secret."""
    at = datetime.fromtimestamp(second, UTC)
    signatures = [Webhook(secret).sign("msg_1", at, body.decode()) for secret in secrets or (WEBHOOK_SECRET,)]
    return {
        b"webhook-id": b"msg_1",
        b"webhook-timestamp": str(second).encode(),
        b"webhook-signature": " ".join(signatures).encode(),
    }
