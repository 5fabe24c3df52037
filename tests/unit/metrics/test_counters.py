"""What the counters count is what the client library would have exported."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from app.metrics.counters import Counts, Distributions

BOUNDS = (0.5, 1.0, 2.5, 10.0)
LABELS = st.sampled_from(["a", 'b"\\', "c\n"])
SAMPLES = st.sampled_from([0.0, 0.5, 0.75, 1.0, 2.5, 3.0, 10.0, 11.0, -1.0]) | st.floats(0, 1e6)


@given(st.lists(st.tuples(LABELS, SAMPLES)))
def test_a_scrape_is_the_same_as_of_the_client_librarys_own_metrics(samples: list[tuple[str, float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    counts, distributions = Counts("c", "text", ("label",)), Distributions("h", "text", ("label",), BOUNDS)
    ours.register(counts)
    ours.register(distributions)
    counter = Counter("c", "text", ("label",), registry=theirs)
    histogram = Histogram("h", "text", ("label",), registry=theirs, buckets=BOUNDS)
    for label, sample in samples:
        counts.labels(label).inc(abs(sample))
        counter.labels(label).inc(abs(sample))
        distributions.labels(label).observe(sample)
        histogram.labels(label).observe(sample)
    assert generate_latest(ours) == generate_latest(theirs)
