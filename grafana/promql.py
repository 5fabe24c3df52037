"""PromQL in pieces: every selector has the dashboard's namespace, job and instance in it."""

# Without Kubernetes there is no namespace, which the value of its variable for all has to match.
SCOPE = 'namespace=~"$namespace", job=~"$job", instance=~"$instance"'
EACH_GATE = "on (namespace, job, instance)"
RATE = "$__rate_interval"


def select(name: str, *matchers: str) -> str:
    """A selector on any series by its whole name."""
    return f"{name}{{{', '.join((SCOPE, *matchers))}}}"


def gauge(name: str, *matchers: str) -> str:
    """A selector on a series of ours, named without the prefix."""
    return select(f"tidegate_{name}", *matchers)


def rate(name: str, *matchers: str) -> str:
    """What a counter of ours gains a second."""
    return f"rate({gauge(name, *matchers)}[{RATE}])"


def increase(name: str, *matchers: str, within: str = RATE) -> str:
    """What a counter of ours gained."""
    return f"increase({gauge(name, *matchers)}[{within}])"


def times(name: str, *matchers: str, by: tuple[str, ...] = (), within: str = RATE) -> str:
    """How often a counter of ours counted: a whole number, which an increase, being extrapolated, is not."""
    return f"round({total(increase(name, *matchers, within=within), *by)})"


def total(expression: str, *labels: str) -> str:
    """Added up over everything but the labels."""
    return _aggregate("sum", expression, labels)


def largest(expression: str, *labels: str) -> str:
    """The largest of all but the labels: for figures of the store, which each of its gates exports."""
    return _aggregate("max", expression, labels)


def smallest(expression: str, *labels: str) -> str:
    """The smallest of all but the labels."""
    return _aggregate("min", expression, labels)


def share(part: str, whole: str) -> str:
    """A part of a whole, nothing where the whole is 0."""
    return f"{part} / ({whole} > 0)"


def quantile(share_below: float, name: str, *matchers: str, by: tuple[str, ...] = ()) -> str:
    """The value this share of what a histogram of ours saw stays below."""
    return f"histogram_quantile({share_below}, {total(rate(f'{name}_bucket', *matchers), *by, 'le')})"


def _aggregate(function: str, expression: str, labels: tuple[str, ...]) -> str:
    by = f" by ({', '.join(labels)}) " if labels else ""
    return f"{function}{by}({expression})"
