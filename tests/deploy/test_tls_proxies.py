"""What providers send reaches a gate behind nginx and behind Caddy as it was sent, over TLS."""

import gzip
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.support.feed_calls import HELIUS, QUICKNODE, feeds_file, sample, signature, summary_of
from tests.support.gate import GateProcess, gate_process
from tests.support.processes import free_port
from tests.support.real_payloads import DATA, FILES
from tests.support.signed import WEBHOOK_SECRET, quicknode_headers, webhook_headers
from tests.support.tls import make_tls
from tests.support.tls_proxies import (
    CADDYFILE,
    caddy_command,
    caddy_variables,
    nginx_command,
    nginx_files,
    output_of,
    proxy_of,
)

KINDS = ["nginx", "caddy"]
TOKEN = "typed-into-the-form"
MIB = 1024 * 1024
LONGEST_BYTES = 8 * MIB
FEEDS = """
[feeds.quicknode-a]
hmac = "quicknode"
secrets_file = "secret"
[feeds.quicknode-zipped]
hmac = "quicknode"
secrets_file = "secret"
hmac_over = "inflated"
[feeds.standard-a]
hmac = "standard-webhooks"
secrets_file = "webhook-secret"
"""


class Site(NamedTuple):
    """A gate, and a client that reaches it through a proxy with TLS."""

    gate: GateProcess
    client: httpx.Client

    def send(
        self, feed: str, body: bytes, headers: Mapping[Any, Any], *, zipped: bool = False
    ) -> httpx.Response:
        """POST a body to a feed as it is, or with gzip."""
        coding = {"Content-Encoding": "gzip"} if zipped else {}
        named = {_text(name): _text(value) for name, value in headers.items()}
        return self.client.post(
            f"/feeds/{feed}", content=gzip.compress(body) if zipped else body, headers=named | coding
        )


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode()


@pytest.fixture(scope="module", params=KINDS)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "webhook-secret").write_text(WEBHOOK_SECRET)
    settings: dict[str, object] = {
        "feeds_file": feeds_file(folder, FEEDS),
        "ingest_tokens": TOKEN,
        "dedup_window_seconds": 60,
        "max_feed_body_bytes": LONGEST_BYTES,
    }
    with gate_process(**settings) as gate, proxy_of(request.param, folder, gate.url) as client:
        yield Site(gate, client)


@pytest.mark.parametrize("file", sorted(FILES))
def test_a_real_body_is_taken_plain_and_with_gzip(site: Site, file: str) -> None:
    real = sample(file)
    headers = real.headers | {"Authorization": TOKEN}
    plain = summary_of(site.send("provider", real.body, headers))
    zipped = summary_of(site.send("provider", real.body, headers, zipped=True))
    assert (sum(plain), plain[2]) == (real.total, 0)
    assert zipped == (0, real.total, 0)


def test_the_payload_is_what_the_provider_sent(site: Site) -> None:
    real = sample("helius_enhanced_transfer.json")
    summary_of(site.send("helius-a", real.body, HELIUS | {"Authorization": TOKEN}, zipped=True))
    for name, payload in real.payloads.items():
        with site.gate.client(headers={"Authorization": f"Bearer {TOKEN}"}) as direct:
            assert payload in direct.get(f"/transactions/{name}").content


def test_a_block_of_five_megabytes_is_taken(site: Site) -> None:
    body = _large_block()
    assert 5 * MIB < len(body) < LONGEST_BYTES
    count = len(json.loads(body)["transactions"])
    headers = QUICKNODE | {"Authorization": f"Bearer {TOKEN}"}
    assert summary_of(site.send("blocks", body, headers)) == (count, 0, 0)
    assert summary_of(site.send("blocks", body, headers, zipped=True)) == (0, count, 0)


def test_quicknodes_signature_holds_behind_the_proxy(site: Site) -> None:
    body, now = sample("solana_getBlock_100000000_jsonParsed_10tx.json").body, int(time.time())
    plain = site.send("quicknode-a", body, QUICKNODE | _named(quicknode_headers(body, now)))
    over_sent = quicknode_headers(gzip.compress(body, mtime=0), now)
    as_sent = site.client.post(
        "/feeds/quicknode-a",
        content=gzip.compress(body, mtime=0),
        headers=QUICKNODE | _named(over_sent) | {"Content-Encoding": "gzip"},
    )
    inflated = site.send(
        "quicknode-zipped", body, QUICKNODE | _named(quicknode_headers(body, now)), zipped=True
    )
    assert [sum(summary_of(each)) for each in (plain, as_sent, inflated)] == [10, 10, 10]


def test_the_signature_of_standard_webhooks_holds_behind_the_proxy(site: Site) -> None:
    body = sample("helius_enhanced_25.json").body
    sent = site.send("standard-a", body, _named(webhook_headers(body, int(time.time()))), zipped=False)
    assert sum(summary_of(sent)) == 25


def test_who_may_not_send_is_told_so_by_the_gate(site: Site) -> None:
    body, now = sample("helius_enhanced_transfer.json").body, int(time.time())
    wrong = _named(quicknode_headers(body + b" ", now))
    for answer in (
        site.send("helius-a", body, HELIUS | {"Authorization": "guessed"}),
        site.send("helius-a", _large_block(), QUICKNODE),
        site.send("quicknode-a", body, QUICKNODE | wrong),
    ):
        assert (answer.status_code, answer.json()["type"]) == (401, "urn:tidegate:problem:unauthorized")


def test_a_body_past_the_limit_is_told_so_by_the_gate(site: Site) -> None:
    answer = site.send("helius-a", b" " * (LONGEST_BYTES + MIB), HELIUS | {"Authorization": TOKEN})
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")


def test_items_are_taken_and_nothing_else_is_reached(site: Site) -> None:
    item = {"signature": "behind-a-proxy"}
    answer = site.client.post("/transactions", json=item, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.json()["status"] == "accepted"
    for address in ("/stats", "/sources", "/metrics", "/docs", "/settings", "/transactions/x"):
        answer = site.client.get(address, headers={"Authorization": f"Bearer {TOKEN}"})
        assert (answer.status_code, "urn:tidegate" in answer.text) == (404, False), address


@pytest.mark.parametrize("kind", KINDS)
def test_while_the_gate_is_down_a_provider_is_told_to_come_again(kind: str, tmp_path: Path) -> None:
    with proxy_of(kind, tmp_path, f"http://127.0.0.1:{free_port()}") as client:
        answer = client.post("/feeds/helius-a", content=sample("helius_enhanced_25.json").body)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "Send the request again after 5 seconds."


def test_nginx_finds_nothing_to_say_about_its_configuration(tmp_path: Path) -> None:
    main = nginx_files(tmp_path, free_port(), "127.0.0.1:8000", make_tls(tmp_path))
    said = output_of(nginx_command(), "-t", "-p", str(tmp_path), "-c", str(main))
    assert said.splitlines()[-2:] == [
        f"nginx: the configuration file {main} syntax is ok",
        f"nginx: configuration file {main} test is successful",
    ]
    assert "[warn]" not in said


def test_caddy_finds_nothing_to_say_about_its_configuration(tmp_path: Path) -> None:
    variables = caddy_variables(tmp_path, free_port(), "127.0.0.1:8000", make_tls(tmp_path))
    said = output_of(caddy_command(), "validate", "--config", str(CADDYFILE), **variables)
    assert said.endswith("Valid configuration\n")
    assert '"warn"' not in said
    assert output_of(caddy_command(), "fmt", str(CADDYFILE)) == CADDYFILE.read_text(encoding="utf-8")


def test_caddys_configuration_needs_no_variable() -> None:
    adapted = json.loads(output_of(caddy_command(), "adapt", "--config", str(CADDYFILE)).splitlines()[0])
    [server] = adapted["apps"]["http"]["servers"].values()
    assert (server["listen"], server["routes"][0]["match"]) == ([":443"], [{"host": ["gate.example.com"]}])
    assert "tls" not in adapted["apps"]  # so it gets a certificate by itself


def _named(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in headers.items()}


def _large_block() -> bytes:
    """A real block's transactions, each often enough for 5 MiB and with a signature of its own."""
    block = json.loads((DATA / "solana_getBlock_100000000_jsonParsed_10tx.json").read_bytes())
    texts = [json.dumps(each) for each in block["transactions"]]
    names = [each["transaction"]["signatures"][0] for each in block["transactions"]]
    of_ten = sum(map(len, texts))
    copies = [
        text.replace(name, signature(10 * round_ + at))
        for round_ in range(5 * MIB // of_ten + 2)
        for at, (text, name) in enumerate(zip(texts, names, strict=True))
    ]
    return b'{"blockhash":"x","transactions":[' + ",".join(copies).encode() + b"]}"
