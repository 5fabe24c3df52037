"""gzip bodies: whatever is in them, what is good is taken, what is bad is a problem."""

import gzip

import httpx
import pytest

from tests.support.http_calls import (
    GOOD,
    JSON,
    MIB,
    NDJSON,
    accepted,
    array,
    client_problem,
    counts,
    is_stored,
    item,
    post,
    post_gzip,
    problem,
    zeros_gzip,
)

BATCH, LINES = array(GOOD), b"\n".join(GOOD)
MEDIA = pytest.mark.parametrize(("media", "body"), [(JSON, BATCH), (NDJSON, LINES)])


async def test_one_object_may_be_gzip(client: httpx.AsyncClient) -> None:
    accepted(await post_gzip(client, gzip.compress(item())))


@MEDIA
async def test_a_batch_may_be_gzip(client: httpx.AsyncClient, media: str, body: bytes) -> None:
    assert counts(await post_gzip(client, gzip.compress(body), media)) == (2, 0, 0)


@MEDIA
async def test_a_body_may_be_cut_into_members_anywhere(
    client: httpx.AsyncClient, media: str, body: bytes
) -> None:
    members = [gzip.compress(body[at : at + 5]) for at in range(0, len(body), 5)]
    members.insert(2, gzip.compress(b""))
    assert counts(await post_gzip(client, b"".join(members), media)) == (2, 0, 0)


@MEDIA
@pytest.mark.parametrize("size", [1, 7, 18])
async def test_a_body_may_arrive_in_any_pieces(
    client: httpx.AsyncClient, media: str, body: bytes, size: int
) -> None:
    whole = gzip.compress(body) + gzip.compress(b" ")
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    assert counts(await post(client, pieces, media, Content_Encoding="gzip")) == (2, 0, 0)


@pytest.mark.parametrize("left", [1, 5, 12, 30, -8, -1])
async def test_a_body_that_is_cut_off_is_refused_as_such_and_nothing_of_an_array_is_stored(
    client: httpx.AsyncClient, left: int
) -> None:
    problem(await post_gzip(client, gzip.compress(BATCH)[:left]), 400, "gzip", "cut off")
    assert not await is_stored(client, "before")


async def test_lines_before_the_place_where_gzip_is_cut_off_are_in_the_summary_of_the_problem(
    client: httpx.AsyncClient,
) -> None:
    document = problem(await post_gzip(client, gzip.compress(LINES + b"\n")[:-1], NDJSON), 400, "cut off")
    assert (document["accepted"], document["invalid"]) == (2, 0)
    assert await is_stored(client, "after")


@MEDIA
@pytest.mark.parametrize("garbage", [b"not gzip at all", b"\x1f\x8b\x07" + b"x" * 30, b"\x00" * 100])
async def test_garbage_is_refused_before_or_after_a_good_member(
    client: httpx.AsyncClient, media: str, body: bytes, garbage: bytes
) -> None:
    problem(await post_gzip(client, garbage, media), 400, "not gzip")
    problem(await post_gzip(client, gzip.compress(body) + garbage, media), 400, "not gzip")


@MEDIA
async def test_a_body_that_is_not_gzip_but_says_so_is_refused_and_the_other_way_round(
    client: httpx.AsyncClient, media: str, body: bytes
) -> None:
    problem(await post_gzip(client, body, media), 400, "not gzip")
    client_problem(await post(client, gzip.compress(body), media))


async def test_a_wrong_checksum_or_length_is_refused(client: httpx.AsyncClient) -> None:
    good = gzip.compress(BATCH)
    for at in (-8, -4):
        wrong = bytearray(good)
        wrong[at] ^= 1
        problem(await post_gzip(client, bytes(wrong)), 400, "not gzip")
    assert not await is_stored(client, "before")


@pytest.mark.parametrize("media", [JSON, NDJSON])
@pytest.mark.parametrize("bomb", [zeros_gzip(1024), gzip.compress(bytes(MIB)) * 1024])
async def test_a_bomb_is_refused(client: httpx.AsyncClient, media: str, bomb: bytes) -> None:
    problem(await post_gzip(client, bomb, media), 413, str(32 * MIB))
