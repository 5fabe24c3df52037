"""One consumer more than there may be is refused, and told which are idle, on a Cluster as on one server."""

import asyncio

import pytest

from tests.conftest import MakeSettings
from tests.support.api_calls import QUIET, Api, open_api
from tests.support.http_calls import problem
from tests.support.servers import StoreServer

pytestmark = pytest.mark.server

MOST = 64
NAMES = [f"bot-{number:02}" for number in range(MOST)]


async def lease(api: Api, name: str, seconds: int = 30) -> str | None:
    """Lease something as a consumer, which is new or calls again; the lease."""
    answer = await api.http.post(f"/consumers/{name}/lease", params={"limit": 3, "lease_seconds": seconds})
    assert answer.is_success, answer.text
    found: str | None = answer.json()["lease"]
    await asyncio.sleep(0.002)  # the order is by the millisecond
    return found


async def test_the_65th_consumer_is_told_which_are_forgotten_first_and_gets_the_place_of_one(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    async with open_api(settings_for(store, **QUIET)) as api:
        await api.post_many("for-all", 30)
        leases = [await lease(api, name) for name in NAMES]
        await lease(api, NAMES[0])
        await lease(api, NAMES[2], seconds=3600)
        body = {"lease": leases[5]}
        assert (await api.http.post(f"/consumers/{NAMES[5]}/commit", json=body)).is_success
        await lease(api, NAMES[5])
        idle = [name for name in NAMES if name not in {NAMES[0], NAMES[2], NAMES[5]}]

        refused = problem(await api.http.post("/consumers/one-more/lease"), 409, ", ".join(idle[:10]))
        assert refused["type"] == "urn:tidegate:problem:too-many-consumers"
        assert refused["detail"].endswith(f"idle longest: {', '.join(idle[:10])}"), "ten of them"
        listed = [one["name"] for one in (await api.http.get("/consumers")).json()["consumers"]]
        assert listed == [*idle, NAMES[0], NAMES[5], NAMES[2]]

        assert await lease(api, NAMES[63]), "one that is there goes on"
        assert (await api.http.delete(f"/consumers/{idle[0]}")).is_success
        assert await lease(api, "one-more")
        problem(await api.http.post("/consumers/yet-one/lease"), 409, ", ".join(idle[1:11]))
