"""Names that a consumer cannot have, since a URL loses them, are refused before anything is sent."""

import pytest

from tidegate.client import Client


@pytest.mark.parametrize("name", ["", ".", ".."])
async def test_a_name_that_no_address_can_have_is_refused_before_a_call(name: str) -> None:
    async with Client("http://127.0.0.1:9") as client:
        with pytest.raises(ValueError, match="cannot be the name of a consumer"):
            await client.lease(name)
