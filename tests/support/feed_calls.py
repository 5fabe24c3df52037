"""What the tests of feeds share: bodies as providers send them, with the headers that come with them."""

import gzip
import time
from pathlib import Path
from typing import NamedTuple

import httpx
import msgspec

from tests.support.api_calls import Api
from tests.support.real_payloads import DATA, transactions_of
from tests.support.signed import QUICKNODE_SECRET, quicknode_headers

SIGNED_FEEDS = """
[feeds.quicknode-a]
hmac = "quicknode"
secrets_file = "secret"

[feeds.quicknode-gzip]
hmac = "quicknode"
secrets_file = "secret"
hmac_over = "inflated"
"""
HELIUS = {"Content-Type": "application/json", "User-Agent": "Helius/1.0", "Authorization": "my-own-word"}
QUICKNODE = {
    "Content-Type": "application/json",
    "User-Agent": "quicknode-streams",
    "batch-start-range": "100000000",
    "batch-end-range": "100000000",
    "stream-network": "solana-mainnet",
}
# What `curl --data-binary` and a script that polls say unless they are told.
POLLED = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": "curl/8.5.0"}
HEADERS_OF = {"helius": HELIUS, "quicknode": QUICKNODE, "solana": POLLED}


class Sample(NamedTuple):
    """A real body, with the headers of its provider and the transactions in it by their signatures."""

    body: bytes
    headers: dict[str, str]
    payloads: dict[str, bytes]
    total: int
    """How many transactions it has, with those that are there twice."""


def sample(file: str) -> Sample:
    """The real body in this file of `tests/data`."""
    found = transactions_of(file)
    payloads = {one.signature: one.payload for one in found}
    return Sample((DATA / file).read_bytes(), HEADERS_OF[file.partition("_")[0]], payloads, len(found))


async def send(
    api: Api, feed: str, body: bytes, headers: dict[str, str] | None = None, *, zipped: bool = False
) -> httpx.Response:
    """POST a body to a feed."""
    coding = {"Content-Encoding": "gzip"} if zipped else {}
    content = gzip.compress(body) if zipped else body
    return await api.http.post(f"/feeds/{feed}", content=content, headers=(headers or {}) | coding)


def summary_of(response: httpx.Response) -> tuple[int, int, int]:
    """How many were accepted, duplicate and invalid."""
    assert response.status_code == 200, response.text
    found = response.json()
    return found["accepted"], found["duplicate"], found["invalid"]


def block(count: int, prefix: str = "5") -> bytes:
    """A block of Solana with so many transactions."""
    return msgspec.json.encode(
        {"blockhash": "B" * 44, "transactions": [raw(at, prefix) for at in range(count)]}
    )


def raw(number: int, prefix: str = "5") -> dict[str, object]:
    """A transaction of Solana as `getTransaction` answers it."""
    return {"transaction": {"signatures": [signature(number, prefix)], "message": {}}, "meta": {"err": None}}


def signature(number: int, prefix: str = "5") -> str:
    """A signature of 64 bytes in Base58; numbers up to 33,000 have one of their own each."""
    digits = "".join("23456789ABCDEFGHJKLMNPQRSTUVWXYZabc"[number // 32**place % 32] for place in range(3))
    return (prefix + digits).ljust(87, "4")


def feeds_file(folder: Path, text: str, secret: str = QUICKNODE_SECRET) -> Path:
    """A feeds file, and beside it a file `secret` with one secret."""
    (folder / "secret").write_text(secret, encoding="utf-8")
    file = folder / "feeds.toml"
    file.write_text(text, encoding="utf-8")
    return file


def signed(body: bytes, secret: str = QUICKNODE_SECRET, age: int = 0) -> dict[str, str]:
    """The headers with which QuickNode would have sent this body so many seconds ago."""
    headers = quicknode_headers(body, int(time.time()) - age, secret)
    return {name.decode(): value.decode() for name, value in headers.items()}


def unsigned() -> dict[str, str]:
    """What anybody can write into a head."""
    return signed(b"another body")
