"""The limits of a body: its size, media type and coding, and the lines of NDJSON."""

import gzip
import socket

import httpx
import pytest

from tests.http.conftest import ClientOf
from tests.support.gate import GateProcess
from tests.support.http_calls import (
    JSON,
    KIB,
    MIB,
    NDJSON,
    accepted,
    array,
    counts,
    is_stored,
    item,
    post,
    post_gzip,
    problem,
    summary,
)

SMALL = {"max_payload_bytes": 1024, "max_body_bytes": 4096, "max_inflated_bytes": 8192}


def padded(size: int, signature: str = "s") -> bytes:
    """A batch of one, white space up to a size."""
    return b"[" + item(signature).ljust(size - 2) + b"]"


def cut(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


async def test_a_body_may_be_as_large_as_the_limit_and_not_a_byte_larger(client_of: ClientOf) -> None:
    async with client_of(**SMALL) as client:
        accepted(await post(client, item("one").ljust(4096)))
        assert counts(await post(client, padded(4096))) == (1, 0, 0)
        problem(await post(client, padded(4097, "t")), 413, "4097 bytes, 4096 are allowed")
        assert not await is_stored(client, "t")


async def test_the_same_holds_for_a_body_without_a_content_length(client_of: ClientOf) -> None:
    async with client_of(**SMALL) as client:
        assert counts(await post(client, cut(padded(4096), 100))) == (1, 0, 0)
        problem(await post(client, cut(padded(4097, "t"), 100)), 413, "4096 bytes")
        assert not await is_stored(client, "t")


@pytest.mark.parametrize("size", [None, MIB])
async def test_the_limit_is_8_mib_unless_it_is_set(client: httpx.AsyncClient, size: int | None) -> None:
    bodies = [padded(8 * MIB), padded(8 * MIB + 1, "t")]
    first, second = [await post(client, cut(body, size) if size else body) for body in bodies]
    assert counts(first) == (1, 0, 0)
    problem(second, 413, str(8 * MIB))


async def test_an_inflated_body_may_be_as_large_as_its_limit_and_not_a_byte_larger(
    client_of: ClientOf,
) -> None:
    async with client_of(**SMALL) as client:
        assert counts(await post_gzip(client, gzip.compress(padded(8192)))) == (1, 0, 0)
        problem(await post_gzip(client, gzip.compress(padded(8193, "t"))), 413, "8192 bytes")
        assert not await is_stored(client, "t")


async def test_the_limit_of_an_inflated_body_is_32_mib_unless_it_is_set(client: httpx.AsyncClient) -> None:
    assert counts(await post_gzip(client, gzip.compress(padded(32 * MIB), 1))) == (1, 0, 0)
    problem(await post_gzip(client, gzip.compress(padded(32 * MIB + 1, "t"), 1)), 413, str(32 * MIB))


async def test_what_is_sent_of_a_gzip_body_has_the_limit_of_a_body(client_of: ClientOf) -> None:
    async with client_of(**SMALL) as client:
        empty = gzip.compress(b"")
        problem(await post_gzip(client, gzip.compress(item()) + empty * 250), 413, "4096")


@pytest.mark.parametrize(
    "media", ["", "text/plain", "application/xml", "application/json-seq", "json", "*/*"]
)
async def test_another_media_type_is_refused_with_those_that_are_taken(
    client: httpx.AsyncClient, media: str
) -> None:
    problem(await post(client, item(), media), 415, JSON, NDJSON)


async def test_a_missing_media_type_is_refused(client: httpx.AsyncClient) -> None:
    problem(await client.post("/transactions", content=item()), 415, JSON, NDJSON)


@pytest.mark.parametrize("media", ["", "application/x-www-form-urlencoded", "text/plain"])
async def test_a_wrong_media_type_is_told_which_header_to_send(client: httpx.AsyncClient, media: str) -> None:
    named = "curl -d" if "form" in media else media or "no Content-Type"
    header = "`Content-Type: application/json`"
    problem(await post(client, item(), media), 415, named, header, "`Content-Type: application/x-ndjson`")


@pytest.mark.parametrize(
    "media", ["application/ndjson", "application/jsonl", "Application/X-NDJSON; charset=utf-8"]
)
async def test_ndjson_has_several_names(client: httpx.AsyncClient, media: str) -> None:
    assert counts(await post(client, item("a") + b"\n" + item("b"), media)) == (2, 0, 0)


@pytest.mark.parametrize(
    ("query", "mention"),
    [
        ("sorce=x", "unknown parameter sorce; did you mean source?"),
        ("Source=x", "unknown parameter Source; did you mean source?"),
        ("limit=1", "unknown parameter limit; there is source"),
        ("source=x&dry_run", "unknown parameter dry_run"),
        ("%0A%22=1", r'unknown parameter \n"'),
        ("a" * 5000, "unknown parameter " + 64 * "a" + ";"),
    ],
)
def test_an_unknown_parameter_is_refused_by_its_name(gate: GateProcess, query: str, mention: str) -> None:
    with gate.client() as client:
        for body in (item("misspelt"), array([item("misspelt")])):
            headers = {"Content-Type": JSON}
            problem(client.post(f"/transactions?{query}", content=body, headers=headers), 422, mention)
        assert client.get("/transactions/misspelt").status_code == 404


SPACES = 1024 + 4096 + 1


@pytest.mark.parametrize("space", [b" ", b"\t", b"\r", b" \t\r"])
async def test_white_space_around_an_item_counts_alike_alone_in_an_array_and_in_ndjson(
    client_of: ClientOf, space: bytes
) -> None:
    around = (space * SPACES)[:SPACES]
    async with client_of(**SMALL | {"max_body_bytes": 64 * KIB, "max_inflated_bytes": 64 * KIB}) as client:
        for size in (1, 100, 100_000):
            one = around + item("s") + around
            for body, media in ((one, JSON), (b"[" + one + b"]", JSON), (one + b"\n" + around, NDJSON)):
                assert (await post(client, cut(body, size), media)).status_code == 200
            inside = b'{"signature":' + around + b'"t"}'
            for body, media in ((inside, JSON), (b"[" + inside + b"]", JSON), (inside, NDJSON)):
                answer = await post(client, cut(body, size), media)
                assert answer.status_code == 422, answer.text
                assert f"the item has {len(inside)} bytes; its payload may have 1024" in answer.text


@pytest.mark.parametrize("parameter", ["", ";charset=utf-8", '; charset="UTF-8"', " ; CHARSET=utf8", ";a=b"])
@pytest.mark.parametrize("media", [JSON, NDJSON, "Application/JSON"])
async def test_a_media_type_may_say_that_it_is_utf_8(
    client: httpx.AsyncClient, media: str, parameter: str
) -> None:
    assert (await post(client, item(), media + parameter)).status_code == 200


@pytest.mark.parametrize("charset", ["latin-1", "utf-16", '"iso-8859-1"', "us-ascii-x"])
async def test_another_charset_is_refused(client: httpx.AsyncClient, charset: str) -> None:
    problem(await post(client, item(), f"{JSON}; charset={charset}"), 415, "charset", "UTF-8")


@pytest.mark.parametrize("coding", ["identity", "gzip", "GZIP", " x-gzip "])
async def test_a_body_may_be_gzip_or_not_coded(client: httpx.AsyncClient, coding: str) -> None:
    body = item() if coding == "identity" else gzip.compress(item())
    accepted(await post(client, body, Content_Encoding=coding))


@pytest.mark.parametrize("media", [JSON, NDJSON])
@pytest.mark.parametrize("coding", ["br", "deflate", "zstd", "gzip, gzip", "gzip, br", "gzip;q=1"])
async def test_another_content_coding_is_refused_with_the_one_that_is_taken(
    client: httpx.AsyncClient, coding: str, media: str
) -> None:
    answer = await post(client, gzip.compress(item()), media, Content_Encoding=coding)
    problem(answer, 415, "Content-Encoding", "gzip")
    assert answer.headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize("body", [b"", b" ", b"\n\r\t \n", b" " * 100_000])
async def test_an_empty_body_is_refused_as_such(client: httpx.AsyncClient, body: bytes) -> None:
    problem(await post(client, body), 400, "empty")
    problem(await post_gzip(client, gzip.compress(body)), 400, "empty")


@pytest.mark.parametrize("body", [b"null", b"true", b"1", b"-1.5e3", b'"text"', b" 0 "])
async def test_a_scalar_is_refused_with_what_is_taken(client: httpx.AsyncClient, body: bytes) -> None:
    problem(await post(client, body), 422, "neither one transaction object nor an array")


async def test_an_empty_batch_is_an_empty_summary(client: httpx.AsyncClient) -> None:
    empty = {"accepted": 0, "duplicate": 0, "invalid": 0, "duplicates": [], "errors": []}
    for body in (b"[]", b" [ \n] "):
        assert summary(await post(client, body)) == empty
    for body in (b"", b"\n", b" \r\n\t\n \n"):
        assert summary(await post(client, body, NDJSON)) == empty


@pytest.mark.parametrize("size", [1, 3, 64, 100_000])
async def test_lines_count_whatever_ends_them_and_blank_ones_do_not(
    client: httpx.AsyncClient, size: int
) -> None:
    lines = (
        b"\n\r\n  \n" + item("a") + b"\r\n\n \t" + item("b") + b" \n\r\nnot\n" + item("a") + b"\n" + item("c")
    )
    answer = summary(await post(client, cut(lines, size), NDJSON))
    assert (answer["accepted"], answer["duplicates"]) == (3, [3])
    assert [error["index"] for error in answer["errors"]] == [2]


async def test_ndjson_has_no_limit_on_the_number_of_its_lines_or_bytes(client_of: ClientOf) -> None:
    async with client_of(max_batch_items=10, **SMALL) as client:
        lines = [item(f"s{n}", payload="x" * 100) + b"\n" for n in range(2000)]
        assert counts(await post(client, b"".join(lines), NDJSON)) == (2000, 0, 0)


@pytest.mark.parametrize("size", [10, 5000, 1_000_000])
async def test_a_line_too_long_is_named_and_the_others_are_processed(client_of: ClientOf, size: int) -> None:
    async with client_of(**SMALL) as client:
        longest = b'{"signature":"longest"' + b" " * (1024 + 4096 - 23) + b"}"
        longer = longest[:-1] + b" }"
        lines = b"\n".join([item("a"), longest, longer, item("b"), b"x" * 50_000 + b"  \r", item("c")])
        answer = summary(await post(client, cut(lines, size), NDJSON))
        assert (answer["accepted"], answer["invalid"]) == (4, 2)
        details = {error["index"]: error["detail"] for error in answer["errors"]}
        assert details == {
            2: "the item has 5121 bytes; its payload may have 1024",
            4: "the item has 50000 bytes; its payload may have 1024",
        }


async def test_indices_of_an_item_too_long_do_not_shift_the_others(client_of: ClientOf) -> None:
    async with client_of(max_body_bytes=64 * KIB, max_payload_bytes=1024) as client:
        answer = summary(await post(client, array([item("a"), b'"%b"' % (b"x" * 20_000), item("a")])))
        assert (answer["duplicates"], answer["errors"][0]["index"]) == ([2], 1)


RAW = [
    (b"GET /stats HTTP/1.1\r\nHost: x\r\nX-Pad: " + b"x" * 20_000 + b"\r\n\r\n", 431),
    (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
    (b"POST /transactions HTTP/1.1\r\nHost: x\r\nX-Source: a\rb\r\nContent-Length: 0\r\n\r\n", None),
    (b"POST /transactions HTTP/1.1\r\nHost: x\r\nX-Source: a\r\n b\r\nContent-Length: 0\r\n\r\n", None),
    (b"POST /transactions HTTP/1.1\r\nHost: x\r\nX-Source: a\x00b\r\nContent-Length: 0\r\n\r\n", None),
    (b"POST /transactions HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n", None),
    (b"POST /transactions HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", None),
    (b"GET /transactions/\xff HTTP/1.1\r\nHost: x\r\n\r\n", None),
    (b"GET /transactions/%FF%00 HTTP/1.1\r\nHost: x\r\n\r\n", 422),
    (b"POST /transactions?source=%FF%0A HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 422),
    (b"GET /nothing HTTP/1.1\r\nHost: [\r\n\r\n", None),
    (b"GET /nothing HTTP/1.1\r\nHost: a b\xff/?#@:99999\r\n\r\n", None),
    (b"GET //nothing/%0d%0aX:1 HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    (b"BREW /transactions HTTP/1.1\r\nHost: x\r\n\r\n", None),
]


@pytest.mark.parametrize(("request_bytes", "status"), RAW)
def test_what_is_wrong_with_a_request_itself_gets_a_problem_too(
    gate: GateProcess, request_bytes: bytes, status: int | None
) -> None:
    host, _, port = gate.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(request_bytes)
        answer = connection.recv(64 * KIB)
    head, _, _ = answer.partition(b"\r\n\r\n")
    found = int(head.split(b" ")[1])
    assert 400 <= found < 500 or found == 501, answer
    assert status in (None, found)
    assert b"content-type: application/problem+json" in head.lower()
