"""A call whose answer was lost is made once more, unless the server is gone."""

import pytest

from app.store.repeatable_calls import call_again_if_lost
from app.store.shared_connection import AnswerLost


class Calls:
    """A call that fails with these errors first, and then answers how often it was made."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.made = 0

    async def call(self) -> int:
        self.made += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.made


async def test_an_answer_that_was_lost_is_asked_for_once_more() -> None:
    assert await call_again_if_lost(Calls(AnswerLost("broke")).call) == 2


@pytest.mark.parametrize(
    ("errors", "made"),
    [
        ([AnswerLost("broke"), AnswerLost("broke again")], 2),
        ([AnswerLost("broke", is_gone=True)], 1),
        ([TimeoutError("no answer")], 1),
    ],
)
async def test_a_second_loss_a_server_that_is_gone_and_other_errors_are_raised(
    errors: list[Exception], made: int
) -> None:
    calls, last = Calls(*errors), errors[-1]
    with pytest.raises(type(last)) as caught:
        await call_again_if_lost(calls.call)
    assert caught.value is last
    assert calls.made == made
