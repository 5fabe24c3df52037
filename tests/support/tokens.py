"""Tokens for tests, and calls with them."""

import httpx

from tests.support.api_calls import Api

INGEST, NEXT_INGEST, ADMIN = "ingest-0Xu3Zq", "ingest-next-7Fp", "admin-Lr91ve"
SECRETS = (INGEST, NEXT_INGEST, ADMIN)

POST = ("POST", "/transactions")
LOOKUP = ("GET", "/transactions/kept")
READERS = (
    ("GET", "/stream?limit=0"),
    ("GET", "/consumers"),
    ("POST", "/consumers/bot/lease"),
    ("POST", "/consumers/bot/commit"),
    ("POST", "/consumers/bot/seek"),
    ("DELETE", "/consumers/bot"),
)
CLEANUPS = (
    *(("POST", "/cleanup"), ("POST", "/cleanup/emergency"), ("GET", "/cleanup")),
    *(("GET", "/alerts"), ("DELETE", "/drill")),
)


async def call(
    api: Api, way: tuple[str, str], authorization: str | bytes | None = None, query: str = ""
) -> httpx.Response:
    method, path = way
    headers = {} if authorization is None else {"Authorization": authorization}
    body = {"signature": "kept"} if way == POST else None
    return await api.http.request(method, path + query, headers=headers, json=body)  # type: ignore[arg-type]


async def status_of(api: Api, way: tuple[str, str], token: str) -> int:
    return (await call(api, way, f"Bearer {token}")).status_code


def assert_refused(response: httpx.Response) -> None:
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == 401
    assert "Authorization: Bearer" in problem["detail"]
