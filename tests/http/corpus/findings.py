"""What the results say: where a server differs from the RFC's ask, from another server, or from itself."""

from collections import Counter
from collections.abc import Iterator

from tests.http.corpus.conversation import Answer
from tests.http.corpus.rule import Case, Rule
from tests.http.corpus.run import Results
from tests.http.corpus.sendings import Sending, Verdict, Way
from tests.http.corpus.servers import REFUSALS

# The statuses of the gate's own protocol, behind each of which it closes.
REFUSED = frozenset({400, 408, 414, 417, 431, 501, 503, 505})
# All of the gate's protocol; a 400 of the application has another.
SLUG_OF_APPLICATION = "malformed-body"

Whole = dict[Case, Verdict]


def whole(results: Results) -> Whole:
    """The verdict on each case, sent in one piece."""
    return {case: ways[Way.WHOLE] for case, ways in results.verdicts.items()}


def against_the_rfc(verdicts: Whole) -> dict[str, list[Case]]:
    """The cases with other answers than the RFC asks for, by rule."""
    return _by_rule(case for case, verdict in verdicts.items() if not _is_allowed(case, verdict))


def against(verdicts: Whole, others: Whole) -> dict[str, list[Case]]:
    """The cases with other answers than another server's, by rule."""
    return _by_rule(case for case, verdict in verdicts.items() if verdict != others[case])


def by_rule(verdicts: Whole) -> dict[Rule, Counter[str]]:
    """How often each rule had each verdict."""
    counts: dict[Rule, Counter[str]] = {}
    for case, verdict in verdicts.items():
        counts.setdefault(case.rule, Counter())[str(verdict)] += 1
    return counts


def cut_otherwise(results: Results) -> Iterator[str]:
    """The cases whose answer depends on how their bytes come."""
    for case, ways in results.verdicts.items():
        if len(set(ways.values())) > 1:
            yield f"{case.name}: {', '.join(f'{way} {verdict}' for way, verdict in ways.items())}"


def kept_open(results: Results) -> Iterator[str]:
    """The refusals behind which the connection went on, or that did not say that it ends."""
    for sending, transcript in results.transcripts.items():
        for answer in transcript.answers:
            if is_refusal(answer) and (not answer.closes or sending.verdict(transcript).goes_on):
                yield _told(sending, answer)


def broken_by_the_server(results: Results) -> Iterator[str]:
    """The answers that blame the server."""
    for sending, transcript in results.transcripts.items():
        for answer in transcript.answers:
            if answer.status >= 500 and answer.status not in REFUSED:
                yield _told(sending, answer)


def not_answered(results: Results) -> Iterator[str]:
    """The sendings in which the good request before the case was not answered."""
    for sending, transcript in results.transcripts.items():
        if not sending.good_one_was_answered(transcript):
            yield _told(sending, transcript.answers)


def accepted(results: Results) -> set[str]:
    """The signatures of the transactions that were said to be accepted."""
    return {
        answer.signature
        for transcript in results.transcripts.values()
        for answer in transcript.answers
        if answer.signature
    }


def seen(results: Results) -> Counter[str]:
    """How many answers of each status clients saw, and how many of them were refusals of the protocol."""
    counts: Counter[str] = Counter()
    for transcript in results.transcripts.values():
        for answer in transcript.answers:
            counts[REFUSALS if is_refusal(answer) else str(answer.status)] += 1
    return counts


def is_refusal(answer: Answer) -> bool:
    """Whether it is the protocol that refused, not the application."""
    return answer.status in REFUSED and answer.slug != SLUG_OF_APPLICATION


def _is_allowed(case: Case, verdict: Verdict) -> bool:
    return case.rule.ask.allows(verdict.statuses, verdict.goes_on)


def _by_rule(cases: Iterator[Case]) -> dict[str, list[Case]]:
    found: dict[str, list[Case]] = {}
    for case in cases:
        found.setdefault(case.rule.name, []).append(case)
    return found


def _told(sending: Sending, what: object) -> str:
    return f"{sending.case.name} ({sending.way}): {what}"
