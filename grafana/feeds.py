"""Feeds: which source delivers, which is first, which is late, which sends what is wrong."""

from collections.abc import Iterator

from grafana_foundation_sdk.builders import dashboard

from grafana.frame import frame
from grafana.panels import About, Builder, Query, figure, lines
from grafana.promql import SCOPE, gauge, largest, quantile, rate, share, times, total
from grafana.style import QUANTILES, Alarm

NAME = "source_transactions_total"
OF = 'source=~"$source"'
OF_FEED = 'feed=~"$source"'
FIRST = 'outcome="accepted"'
VALID = 'outcome=~"accepted|duplicate"'


def feeds() -> dashboard.Dashboard:
    """The dashboard of the sources."""
    board = frame(
        "tidegate-feeds",
        "Tidegate / Feeds",
        "Which source delivers, which is first, which is late. Past the limit they count as `other`.",
        f"source=label_values(tidegate_{NAME}{{{SCOPE}}}, source)",
    )
    for panel in _summary():
        board.with_panel(panel)
    rows = (
        ("Who delivers", _delivered),
        ("Who is late", _late),
        ("Is the window long enough", _window),
        ("Who has what the others have", _coverage),
        ("What is not taken", _not_taken),
        ("How they send", _sent),
    )
    for title, panels in rows:
        board.with_row(dashboard.Row(title))
        for panel in panels():
            board.with_panel(panel)
    return board


def firsts(*matchers: str, by: tuple[str, ...] = ()) -> str:
    """What was accepted a second and was no late duplicate; those are an estimate, so perhaps too many."""
    accepted = total(rate(NAME, *matchers, FIRST), *by)
    late = total(rate("late_duplicates_total", *matchers), *by)
    return f"clamp_min(({accepted} - {late}) or {accepted}, 0)"


def _summary() -> Iterator[Builder]:
    each = total(rate(NAME, OF), "source")
    yield figure(
        About("Sources", "Sources that delivered anything lately.", "none"),
        Query(f"count({each} > 0) or vector(0)", "sources"),
        width=6,
        colour="text",
    )
    yield figure(
        About("Delivered a second", "Transactions of all chosen sources, whatever became of them.", "cps"),
        Query(total(rate(NAME, OF)), "delivered"),
        width=6,
        colour="text",
    )
    yield figure(
        About(
            "Duplicate share",
            "Of what was accepted or known, over the chosen sources.",
            "percentunit",
            (Alarm("TidegateDuplicateRatioUnusual"),),
        ),
        Query(
            share(total(rate(NAME, OF, 'outcome="duplicate"')), total(rate(NAME, OF, VALID))), "duplicates"
        ),
        width=6,
        colour="text",
        empty="no traffic",
    )
    yield figure(
        About("Invalid a second", "Items the feeds sent that are no transactions.", "cps"),
        Query(total(rate("transactions_total", 'outcome="invalid"')), "invalid"),
        width=6,
        colour="text",
    )


def _delivered() -> Iterator[Builder]:
    yield lines(
        About(
            "Delivered a second, by source",
            "Whatever became of it. A feed that stops falls to 0 here.",
            "cps",
        ),
        Query(total(rate(NAME, OF), "source"), "{{source}}"),
        width=12,
    )
    yield lines(
        About(
            "First a second, by source",
            "Transactions the source delivered before all others. Late duplicates are left out.",
            "cps",
        ),
        Query(firsts(OF, by=("source",)), "{{source}}"),
        width=12,
        stacked=True,
    )
    yield lines(
        About(
            "Share of firsts",
            "Of all accepted transactions, the share the source delivered first, without late duplicates.",
            "percentunit",
        ),
        Query(f"{firsts(OF, by=('source',))} / scalar({firsts()} > 0)", "{{source}}"),
        high=1,
    )
    duplicates = total(rate(NAME, OF, 'outcome="duplicate"'), "source")
    yield lines(
        About(
            "Duplicates of a source",
            "The share of what it delivered that was known before. Near 100 %: it adds nothing.",
            "percentunit",
        ),
        Query(share(duplicates, total(rate(NAME, OF, VALID), "source")), "{{source}}"),
        high=1,
    )
    yield lines(
        About(
            "Not taken a second",
            "Items of the source that were invalid, refused (503, a limit) or failed (the store).",
            "cps",
        ),
        Query(
            total(rate(NAME, OF, 'outcome=~"invalid|refused|failed"'), "source", "outcome") + " > 0",
            "{{source}}: {{outcome}}",
        ),
    )


def _late() -> Iterator[Builder]:
    for name, text in (("p50", "Half"), ("p95", "95 %"), ("p99", "99 %")):
        yield lines(
            About(
                f"Behind the first, {name}",
                f"{text} of the source's duplicates came no later than this after the first. "
                "Later than the window, they would be accepted again.",
                "s",
            ),
            Query(
                quantile(int(name[1:]) / 100, "source_delay_seconds", OF, by=("source",)),
                "{{source}}",
            ),
        )


def _window() -> Iterator[Builder]:
    yield lines(
        About(
            "Nearly too late",
            "The share of a source's duplicates that came after more than 80 % of the window. "
            "After the window, they would be accepted again.",
            "percentunit",
            (Alarm("TidegateFeedNearWindow", 0.01),),
        ),
        Query(
            total(rate("source_near_window_total", OF), "source")
            + f" / {total(rate('source_delay_seconds_count', OF), 'source')}",
            "{{source}}",
        ),
        width=12,
    )
    yield lines(
        About(
            "Late duplicates in an hour, by source",
            "Accepted a second time, because their window had passed. An estimate by a sample.",
            "short",
            (Alarm("TidegateWindowTooShort", 160),),
        ),
        Query(times("late_duplicates_total", OF, by=("source",), within="1h"), "{{source}}"),
        width=12,
    )
    yield lines(
        About(
            "Window",
            "The window in force, and the one that covers 99.9 % of what came again since the gate started.",
            "s",
            (Alarm("TidegateWindowTooShort"),),
        ),
        Query(largest(gauge("recommended_window_seconds")), "recommended"),
        Query(largest(gauge("map_retention_seconds", 'map="signatures"')), "in force"),
        limits=("in force",),
        width=12,
    )
    yield lines(
        About(
            "How late",
            "How long late duplicates had been accepted before. Half, 95 % and 99 % no longer than this.",
            "s",
        ),
        *(Query(quantile(int(p[1:]) / 100, "late_duplicate_age_seconds"), p) for p in QUANTILES),
        colours=QUANTILES,
        width=12,
    )


def _coverage() -> Iterator[Builder]:
    yield lines(
        About(
            "Missed a second, by source",
            "What others delivered and the source did not, while it was active. An estimate by a sample.",
            "cps",
        ),
        Query(total(rate("source_missed_total", OF), "source"), "{{source}}"),
    )
    yield lines(
        About(
            "Solo a second, by source",
            "What only the source delivered: it would be missing without it. An estimate by a sample.",
            "cps",
        ),
        Query(total(rate("source_solo_total", OF), "source"), "{{source}}"),
    )
    seen = largest(gauge("source_last_seen_timestamp_seconds", OF), "source")
    yield lines(
        About(
            "Silent for",
            "How long ago the source last delivered anything valid, to any gate.",
            "s",
            (Alarm("TidegateFeedSilent", 300),),
        ),
        Query(f"time() - {seen}", "{{source}}"),
    )


def _not_taken() -> Iterator[Builder]:
    rejected = "feed_rejected_total"
    yield lines(
        About(
            "Rejected a second, by reason",
            "Bodies and transactions the feed sent and the gate did not take. The log has examples.",
            "cps",
            (Alarm("TidegateFeedRejected"),),
        ),
        Query(total(rate(rejected, OF_FEED), "feed", "reason") + " > 0", "{{feed}}: {{reason}}"),
        width=8,
    )
    bodies = total(rate("feed_bodies_total", OF_FEED), "feed")
    yield lines(
        About(
            "Share of bodies rejected",
            "Of a feed's bodies, those of which the gate took nothing, however many transactions they held.",
            "percentunit",
            (Alarm("TidegateFeedRejected", 0.4),),
        ),
        Query(
            total(rate("feed_bodies_total", OF_FEED, 'outcome="rejected"'), "feed") + f" / ({bodies} > 0)",
            "{{feed}}",
        ),
        width=8,
    )
    yield lines(
        About(
            "Skipped a second",
            "Transactions the feed is told to skip: votes of validators, and those that failed.",
            "cps",
        ),
        Query(total(rate("feed_skipped_total", OF_FEED), "feed", "kind") + " > 0", "{{feed}}: {{kind}}"),
        width=8,
    )
    yield lines(
        About(
            "Over their share a second",
            "Transactions answered 429: the feed has used up `transactions_per_second` of the feeds file.",
            "cps",
        ),
        Query(total(rate(rejected, OF_FEED, 'reason="rate-limited"'), "feed"), "{{feed}}"),
        width=12,
    )
    yield lines(
        About(
            "Without a token or signature a second",
            "Posts of transactions answered 401, and of these the ones to feeds.",
            "reqps",
            (Alarm("TidegateFeedTokensRefused"),),
        ),
        Query(total(rate("unauthorized_total", 'plane="ingest"')), "all"),
        Query(total(rate(rejected, OF_FEED, 'reason="unauthorized"'), "feed"), "{{feed}}"),
        width=12,
    )


def _sent() -> Iterator[Builder]:
    for metric, title, text in (
        ("ingest_batch_size", "Items of a request", "How much the feeds put in one request."),
        ("ingest_flush_size", "Items of a flush", "How much the gate puts in one call of the store."),
    ):
        yield lines(
            About(title, f"{text} Half, 95 % and 99 % are no larger."),
            *(Query(quantile(int(p[1:]) / 100, metric), p) for p in QUANTILES),
            colours=QUANTILES,
        )
    yield lines(
        About(
            "Documents a second, by shape",
            "What was recognised in the feed's bodies. A document may hold many transactions.",
            "cps",
        ),
        Query(total(rate("feed_documents_total", OF_FEED), "feed", "shape") + " > 0", "{{feed}}: {{shape}}"),
    )
