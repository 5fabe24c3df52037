"""The limits of an item: accepted at the limit, refused one past it by a problem that names the limit."""

from urllib.parse import quote

import httpx
import pytest

from tests.http.conftest import ClientOf
from tests.support.http_calls import (
    JSON,
    KIB,
    NDJSON,
    accepted,
    among_good,
    array,
    client_problem,
    counts,
    item,
    lookup,
    nested,
    only_middle_is_invalid,
    post,
    problem,
    with_payload,
)

SIGNATURE_RULE = "signature: 1 to 128 visible ASCII characters without space"
SOURCE_RULE = "source: 1 to 64 of A-Z a-z 0-9 . _ : -"
SLOT_RULE = "slot: an integer from 0 to 9223372036854775807, or null"

BAD_CHARACTERS = [" ", "\t", "\n", "\r\n", "\x00", "\x7f", "\x80", "é", "\u2028", "😀"]
BAD_IN_SOURCE = [*BAD_CHARACTERS, "/", "@", "!", '"', "\\", "%"]
ALL_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))


@pytest.mark.parametrize("signature", ["s", "s" * 128, ALL_VISIBLE])
async def test_a_signature_of_1_to_128_visible_characters_is_accepted(
    client: httpx.AsyncClient, signature: str
) -> None:
    answer = await post(client, item(signature))
    accepted(answer)
    assert answer.json()["signature"] == signature


@pytest.mark.parametrize("signature", ["", "s" * 129, *(f"a{bad}b" for bad in BAD_CHARACTERS), "a\n", "\na"])
async def test_any_other_signature_is_refused_with_the_rule(
    client: httpx.AsyncClient, signature: str
) -> None:
    problem(await post(client, item(signature)), 422, SIGNATURE_RULE)


@pytest.mark.parametrize("signature", [None, 1, 1.5, True, ["s"], {"s": 1}])
async def test_a_signature_that_is_no_string_is_refused_with_the_rule(
    client: httpx.AsyncClient, signature: object
) -> None:
    problem(await post(client, item(signature)), 422, SIGNATURE_RULE)


async def test_an_item_without_a_signature_is_told_so(client: httpx.AsyncClient) -> None:
    problem(await post(client, b'{"payload":1}'), 422, "signature")


@pytest.mark.parametrize("signature", ["s" * 129, "a%20b", "a%09b", "%C3%A9"])
async def test_a_lookup_of_what_cannot_be_a_signature_is_refused_with_the_rule(
    client: httpx.AsyncClient, signature: str
) -> None:
    problem(await client.get(f"/transactions/{signature}"), 422, SIGNATURE_RULE)


async def test_a_lookup_without_a_signature_is_told_of_the_slash(client: httpx.AsyncClient) -> None:
    sentence = "GET /transactions/: leave the slash at its end out: GET /transactions; see /docs"
    assert problem(await client.get("/transactions/"), 404)["detail"] == sentence


@pytest.mark.parametrize("signature", ["a/b", "a//b", "..", "a?b", "a#b", "a%b", "a%2Fb", "/a", "a/"])
async def test_a_lookup_takes_every_character_a_signature_may_have(
    client: httpx.AsyncClient, signature: str
) -> None:
    accepted(await post(client, item(signature)))
    found = await client.get(f"/transactions/{quote(signature, safe='/').replace('.', '%2E')}")
    assert found.json()["signature"] == signature


@pytest.mark.parametrize("source", ["a", "A" * 64, "Az09._:-"])
async def test_a_source_of_1_to_64_characters_is_accepted_wherever_it_stands(
    client: httpx.AsyncClient, source: str
) -> None:
    accepted(await post(client, item("of-item", source=source)))
    accepted(await post(client, item("of-query"), params={"source": source}))
    accepted(await post(client, item("of-header"), X_Source=source))
    for signature in ("of-item", "of-query", "of-header"):
        assert (await lookup(client, signature)).source == source


@pytest.mark.parametrize("source", ["", "a" * 65, *(f"a{bad}b" for bad in BAD_IN_SOURCE), "a\n"])
async def test_any_other_source_of_an_item_is_refused_with_the_rule(
    client: httpx.AsyncClient, source: str
) -> None:
    problem(await post(client, item(source=source)), 422, SOURCE_RULE)


@pytest.mark.parametrize("source", [1, True, ["a"], {}])
async def test_a_source_that_is_no_string_is_refused_with_the_rule(
    client: httpx.AsyncClient, source: object
) -> None:
    problem(await post(client, item(source=source)), 422, SOURCE_RULE)


@pytest.mark.parametrize("media", [JSON, NDJSON])
@pytest.mark.parametrize("source", ["", "a" * 65, *(f"a{bad}b" for bad in BAD_IN_SOURCE), "a\n"])
async def test_any_other_source_in_the_query_is_refused(
    client: httpx.AsyncClient, source: str, media: str
) -> None:
    problem(await post(client, item(), media, params={"source": source}), 422, "source", "64")


@pytest.mark.parametrize("media", [JSON, NDJSON])
@pytest.mark.parametrize("source", ["a" * 65, "a b", "a\tb", "a\nb", "a\r\nb", "a\x00b", "é", "a/b", "a\n"])
async def test_any_other_source_in_the_header_is_refused(
    client: httpx.AsyncClient, source: str, media: str
) -> None:
    problem(await post(client, item(), media, X_Source=source), 422, "X-Source", "64")


@pytest.mark.parametrize("media", [JSON, NDJSON])
async def test_the_items_source_wins_over_the_query_and_the_query_over_the_header(
    client: httpx.AsyncClient, media: str
) -> None:
    query = {"source": "of-query"}
    await post(client, item("a"), media)
    await post(client, item("b", source=None), media, X_Source="of-header")
    await post(client, item("c"), media, params=query, X_Source="of-header")
    await post(client, item("d", source="of-item"), media, params=query, X_Source="of-header")
    sources = [(await lookup(client, signature)).source for signature in "abcd"]
    assert sources == ["default", "of-header", "of-query", "of-item"]


@pytest.mark.parametrize("slot", [0, 1, 2**63 - 1, None])
async def test_a_slot_from_0_to_2_to_the_63_less_1_or_null_is_accepted(
    client: httpx.AsyncClient, slot: int | None
) -> None:
    accepted(await post(client, item(slot=slot)))
    assert (await lookup(client, "s")).slot == slot


@pytest.mark.parametrize("slot", [b"-1", b"%d" % 2**63, b"%d" % 2**64, b"9" * 5000, b"1.0", b"1.5", b"1e3"])
async def test_a_number_that_is_no_slot_is_refused_with_the_rule(
    client: httpx.AsyncClient, slot: bytes
) -> None:
    problem(await post(client, b'{"signature":"s","slot":%b}' % slot), 422, SLOT_RULE)


@pytest.mark.parametrize("slot", [True, "1", "", [], {}])
async def test_a_slot_that_is_no_number_is_refused_with_the_rule(
    client: httpx.AsyncClient, slot: object
) -> None:
    problem(await post(client, item(slot=slot)), 422, SLOT_RULE)


async def test_a_payload_may_have_256_kib_and_not_a_byte_more(client: httpx.AsyncClient) -> None:
    largest = b'"%b"' % (b"x" * (256 * KIB - 2))
    accepted(await post(client, with_payload(largest)))
    assert bytes((await lookup(client, "s")).payload) == largest
    larger = with_payload(b'"x' + largest[1:], "other")
    problem(await post(client, larger), 422, "payload has 262145 bytes, 262144 are allowed")


@pytest.mark.parametrize("media", [JSON, NDJSON])
async def test_a_payload_too_large_spoils_no_neighbour(client_of: ClientOf, media: str) -> None:
    async with client_of(max_payload_bytes=100) as client:
        for size, detail in ((101, "100 are allowed"), (100_000, "100")):
            bad = with_payload(b'"%b"' % (b"x" * (size - 2)))
            body = array(among_good(bad)) if media == JSON else b"\n".join(among_good(bad))
            answer = await post(
                client, body.replace(b"fter", b"fter%d" % size).replace(b"efor", b"%d" % size), media
            )
            assert detail in only_middle_is_invalid(answer)


@pytest.mark.parametrize("opening", [b"[", b'{"k":', b'["]", "[[\\n", "\\"[", '])
async def test_a_payload_may_be_nested_128_deep_and_not_one_more(
    client: httpx.AsyncClient, opening: bytes
) -> None:
    def deep(depth: int) -> bytes:
        return opening * depth + b"1" + (b"}" if opening.startswith(b"{") else b"]") * depth

    accepted(await post(client, with_payload(deep(128))))
    problem(await post(client, with_payload(deep(129))), 422, "nested 129 deep", "128 are allowed")


async def test_brackets_inside_strings_are_not_nesting(client: httpx.AsyncClient) -> None:
    for count, text in enumerate(
        (b"[" * 200, b"\\n" + b"[" * 200, b'\\"' + b"{" * 200, b"\\\\" + b"[" * 200)
    ):
        accepted(await post(client, with_payload(b'["\\t","%b"]' % text, f"s{count}")))


@pytest.mark.parametrize("opening", [b'"\\n",', b'"\\\\",', b'"\\\\\\"",', b'"\\u005b",', b'{"\\t":"\\r"},'])
async def test_escapes_do_not_hide_nesting(client: httpx.AsyncClient, opening: bytes) -> None:
    payload = b"[" + opening + nested(128) + b"]"
    problem(await post(client, with_payload(payload)), 422, "nested 129 deep", "128 are allowed")


async def test_unknown_fields_are_named(client: httpx.AsyncClient) -> None:
    problem(await post(client, item(Payload=1)), 422, "unknown field: Payload")
    problem(await post(client, item(b=1, a=2, payload=3)), 422, "unknown fields: a, b")
    many = {f"field{n:02}": n for n in range(30)}
    detail = problem(await post(client, item(**many)), 422, "field00", "field09")["detail"]
    assert len(detail) < KIB


async def test_an_unknown_field_with_a_very_long_name_does_not_fill_the_answer(
    client: httpx.AsyncClient,
) -> None:
    detail = problem(await post(client, item(**{"x" * 100_000: 1})), 422, "unknown field: xxx")["detail"]
    assert len(detail) < KIB


async def test_unknown_fields_spoil_no_neighbour(client: httpx.AsyncClient) -> None:
    answer = await post(client, array(among_good(item(blockTime=1))))
    assert only_middle_is_invalid(answer) == "unknown field: blockTime"


async def test_a_batch_may_have_10000_items_and_not_one_more(client: httpx.AsyncClient) -> None:
    items = [item(f"s{n}") for n in range(10_001)]
    assert counts(await post(client, array(items[:-1]))) == (10_000, 0, 0)
    problem(await post(client, array(items)), 413, "10000")


async def test_the_limit_on_items_holds_for_a_batch_with_an_unreadable_one(client_of: ClientOf) -> None:
    async with client_of(max_batch_items=3) as client:
        good = [item(f"s{n}") for n in range(20)]
        assert counts(await post(client, array([b"NaN", *good[:2]]))) == (2, 0, 1)
        for size in (3, 4, 20):
            client_problem(await post(client, array([b"NaN", *good[:size]])), "3")


async def test_a_batch_of_invalid_items_alone_is_a_problem_that_lists_them(client: httpx.AsyncClient) -> None:
    for media, body in ((JSON, b'[1,{"signature":""}]'), (NDJSON, b'1\n{"signature":""}\n')):
        document = problem(await post(client, body, media), 422)
        assert (document["accepted"], document["duplicate"], document["invalid"]) == (0, 0, 2)
        assert [error["index"] for error in document["errors"]] == [0, 1]
        assert SIGNATURE_RULE in document["errors"][1]["detail"]
