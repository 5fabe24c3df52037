"""Equal signatures within one flush: feeds that deliver at the same moment, and doubles inside one batch."""

from collections.abc import Sequence

from app.models import ACCEPTED, Answers

_JUST_NOW = 1
"""The code of a duplicate of what was accepted in this moment."""


class Doubles:
    """Which item of a flush is the first with its hash, and which come after it."""

    def __init__(self, hashes: Sequence[bytes]) -> None:
        self.firsts: list[int] = []
        """Of each different hash the first item, by index."""
        self.later: list[tuple[int, int]] = []
        """Each further item, and the place of its hash in `firsts`."""
        self._places: list[int] = []
        place_of: dict[bytes, int] = {}
        for at, digest in enumerate(hashes):
            place = place_of.setdefault(digest, len(self.firsts))
            self._places.append(place)
            if place == len(self.firsts):
                self.firsts.append(at)
            else:
                self.later.append((at, place))

    def spread(self, answers: Answers) -> Answers:
        """The answers of all items, from those of the different hashes; of equal ones one is accepted."""
        clocks = [answers.clocks[place] for place in self._places]
        codes = [answers.codes[place] for place in self._places]
        for at, _ in self.later:
            if codes[at] == ACCEPTED:
                codes[at] = _JUST_NOW
        return Answers(clocks, codes)
