"""Alerts of which one silences the other, and those of which it does not, by their labels."""

from tests.support.deployed_rules import alerts

Labels = dict[str, str]
GATE = {"job": "tidegate", "instance": "127.0.0.1:8000"}


def shipped_alerts() -> dict[str, Labels]:
    """The labels each shipped rule gives its alert."""
    return {rule.name: rule.written["labels"] for rule in alerts()}


def alert(name: str, number: int, **more: str) -> Labels:
    """The labels of a shipped alert of one gate; of another job for each number."""
    labels = shipped_alerts().get(name, {})
    return {"alertname": name, **labels, **GATE, "job": f"tidegate-{number}"} | more


MUTED = [
    (alert("TidegateStoreDown", 1), alert("TidegateIngestSlow", 1)),
    (alert("TidegateStoreDown", 7), alert("TidegateFeedSilent", 7, source="a")),
    (alert("TidegateStoreDown", 8), alert("TidegateDuplicateRatioUnusual", 8)),
    (alert("TidegateAbsent", 2), alert("TidegateTargetDown", 2)),
    (
        alert("TidegateErrorBudgetBurnFast", 3, sli="requests"),
        alert("TidegateErrorBudgetBurnSlow", 3, sli="requests"),
    ),
    (alert("TidegateMemoryPressureHard", 4), alert("TidegateMemoryNearLimit", 4)),
    (alert("TidegateMemoryPressureHard", 5), alert("TidegateMemoryLimitPredicted", 5)),
    (
        alert("TidegateConsumerMisses", 9, consumer="bot"),
        alert("TidegateConsumerLagging", 9, consumer="bot"),
    ),
    (
        alert("TidegateConsumerMisses", 10, consumer="bot"),
        alert("TidegateConsumerGone", 10, consumer="bot"),
    ),
    (alert("TidegateStoreDown", 30), alert("TidegateIngestRefused", 30)),
    (alert("TidegateStoreFull", 31), alert("TidegateIngestRefused", 31)),
    (alert("TidegateStorePartlyDown", 59), alert("TidegateIngestSlow", 59)),
    (alert("TidegateSignaturesFull", 32), alert("TidegateIngestRefused", 32)),
    (alert("TidegateMemoryPressureHard", 33), alert("TidegateIngestRefused", 33)),
    (alert("TidegateErrorBudgetBurnFast", 34, sli="requests"), alert("TidegateIngestRefused", 34)),
    (alert("TidegateStoreFull", 35), alert("TidegateStoreNearLimit", 35)),
    (alert("TidegateStoreFull", 37), alert("TidegateEmergencyCleanupsRepeating", 37)),
    (alert("TidegateMemoryPressureHard", 38), alert("TidegateEmergencyCleanupsRepeating", 38)),
    (alert("TidegateIngestRejected", 39), alert("TidegateFeedRejected", 39, source="a")),
    (alert("TidegateIngestRejected", 40), alert("TidegateFeedTokensRefused", 40)),
    (alert("TidegateIngestRejecting", 84), alert("TidegateFeedRejected", 84, source="a")),
    (alert("TidegateIngestRejecting", 85), alert("TidegateFeedTokensRefused", 85, source="a")),
    (alert("TidegateStoreEvicting", 41), alert("TidegateStoreSetBack", 41, kind="keys_gone")),
    (alert("TidegateStoreEvicting", 42), alert("TidegateConsumerMisses", 42, consumer="bot")),
    (alert("TidegateStoreSetBack", 43, kind="emptied"), alert("TidegateConsumerMisses", 43, consumer="bot")),
    (alert("TidegateRestarting", 44), alert("TidegateTargetDown", 44)),
    (alert("TidegateWorkersRestarting", 45), alert("TidegateWorkersDown", 45)),
    (
        alert("TidegateGuardIneffective", 46, process="gate"),
        alert("TidegateLeakConfirmed", 46, process="gate"),
    ),
    (
        alert("TidegateGuardIneffective", 47, process="gate"),
        alert("TidegateLeakSustained", 47, process="gate"),
    ),
    (alert("TidegateLeakConfirmed", 48, process="gate"), alert("TidegateLeakSustained", 48, process="gate")),
    (alert("TidegateLeakConfirmed", 49, process="gate"), alert("TidegateSlowLeak", 49, process="gate")),
    (alert("TidegateLeakConfirmed", 60, process="store"), alert("TidegateStoreLeakSuspected", 60)),
    (alert("TidegateGuardIneffective", 61, process="store"), alert("TidegateStoreLeakSuspected", 61)),
    (
        alert("TidegateCleanupFailing", 56, map="signatures"),
        alert("TidegateCleanupStale", 56, map="signatures"),
    ),
    (alert("TidegateCleanupFailing", 57, map="signatures"), alert("TidegateCleanupInefficient", 57)),
    (alert("TidegateCleanupStale", 58, map="signatures"), alert("TidegateCleanupInefficient", 58)),
    (alert("TidegateStoreEvicting", 50), alert("TidegateStoreMayEvict", 50)),
    (alert("TidegateStoreEvicting", 97), alert("TidegateStoreNearLimit", 97)),
    (alert("TidegateWindowTooShort", 51), alert("TidegateFeedNearWindow", 51, source="a")),
    (alert("TidegateCpuSaturated", 52, process="gate"), alert("TidegateEventLoopLag", 52)),
    (alert("TidegateCpuSaturated", 53, process="gate"), alert("TidegateIngestSlow", 53)),
    (alert("TidegateEventLoopLag", 54), alert("TidegateIngestSlow", 54)),
    (
        alert("TidegateConnectionsNearLimit", 55, process="gate"),
        alert("TidegateDescriptorsNearLimit", 55, process="gate"),
    ),
    (alert("TidegateSignaturesFull", 36), alert("TidegateSignaturesNearLimit", 36, limit="entries")),
    *(
        (alert(cause, number), alert(name, number, **more))
        for number, (cause, name, more) in enumerate(
            (
                (cause, name, more)
                for cause in (
                    "TidegateStoreDown",
                    "TidegateStorePartlyDown",
                    "TidegateStoreFull",
                    "TidegateSignaturesFull",
                    "TidegateMemoryPressureHard",
                )
                for name, more in (
                    ("TidegateErrorBudgetBurnFast", {"sli": "requests"}),
                    ("TidegateErrorBudgetBurnSlow", {"sli": "transactions"}),
                    ("TidegateIngestStopped", {}),
                    ("TidegateIngestRejected", {}),
                )
            ),
            start=100,
        )
    ),
    (alert("TidegateAbsent", 63), alert("TidegateIngestStopped", 63)),
    (alert("TidegateAbsent", 64), alert("TidegateConsumerMisses", 64, consumer="bot")),
    (alert("TidegateStoreDown", 65), alert("TidegateConsumerMisses", 65, consumer="bot")),
    (alert("TidegateStorePartlyDown", 66), alert("TidegateConsumerLagging", 66, consumer="bot")),
    (
        alert("TidegateFeedTokensRefused", 67, source="a"),
        alert("TidegateFeedSilent", 67, source="a"),
    ),
    (
        alert("TidegateConsumerGone", 68, consumer="bot"),
        alert("TidegateConsumerLagging", 68, consumer="bot"),
    ),
    (
        alert("Disk", 6, severity="critical", map="transactions"),
        alert("Disk", 6, severity="warning", map="transactions"),
    ),
    (alert("Disk", 75, severity="critical"), alert("Disk", 75, severity="info")),
    (alert("TidegateAbsent", 76), alert("TidegateIngestRejected", 76)),
    (alert("TidegateAbsent", 77), alert("TidegateIngestRefused", 77)),
    (alert("TidegateAbsent", 78), alert("TidegateFeedSilent", 78, source="a")),
    (alert("TidegateAbsent", 79), alert("TidegateDuplicateRatioUnusual", 79)),
    (alert("TidegateStoreDown", 80), alert("TidegateConsumerGone", 80, consumer="bot")),
    (alert("TidegateIngestRejected", 81), alert("TidegateFeedSilent", 81, source="a")),
    (alert("TidegateGuardIneffective", 82, process="gate"), alert("TidegateSlowLeak", 82, process="gate")),
]
HEARD = [
    # What a cleanup helps still reaches the gate.
    (alert("TidegateStoreDown", 11), alert("TidegateMemoryNearLimit", 11)),
    # What a lost store does not explain.
    (alert("TidegateStoreDown", 21), alert("TidegateMemoryLimitPredicted", 21)),
    (alert("TidegateStoreDown", 22), alert("TidegateLeakSuspected", 22, process="gate")),
    (alert("TidegateStoreDown", 23), alert("TidegateSlowLeak", 23, process="gate")),
    (alert("TidegateStoreDown", 24), alert("TidegateLeakSustained", 24, process="gate")),
    (alert("TidegateStoreDown", 25), alert("TidegateGuardIneffective", 25)),
    (alert("TidegateStoreDown", 26), alert("TidegateGuardDisabled", 26)),
    (alert("TidegateStoreDown", 27), alert("TidegateEventLoopLag", 27)),
    (alert("TidegateStoreDown", 28), alert("TidegateWorkersRestarting", 28)),
    # Another gate is not this gate.
    (alert("TidegateRestarting", 12), alert("TidegateTargetDown", 12, instance="other")),
    (alert("TidegateMemoryPressureHard", 13), alert("TidegateMemoryNearLimit", 13, instance="other")),
    (
        alert("Disk", 14, severity="critical", map="transactions"),
        alert("Disk", 14, severity="warning", map="observations"),
    ),
    # Another consumer is not this consumer.
    (
        alert("TidegateConsumerMisses", 16, consumer="bot"),
        alert("TidegateConsumerLagging", 16, consumer="other"),
    ),
    (
        alert("TidegateConsumerMisses", 17, consumer="bot"),
        alert("TidegateConsumerGone", 17, consumer="other"),
    ),
    # That one is gone does not say that it misses something.
    (
        alert("TidegateConsumerGone", 72, consumer="bot"),
        alert("TidegateConsumerMisses", 72, consumer="bot"),
    ),
    # What is refused in one job says nothing of another, and what feeds send wrongly explains no failures.
    (alert("TidegateStoreDown", 18), alert("TidegateIngestStopped", 180)),
    (alert("TidegateIngestRejected", 19), alert("TidegateErrorBudgetBurnFast", 19, sli="requests")),
    # A consumer that is gone explains nothing of another one.
    (
        alert("TidegateConsumerGone", 70, consumer="bot"),
        alert("TidegateConsumerLagging", 70, consumer="other"),
    ),
    # A token that is refused says nothing of another feed, nor, where nobody knows whose it is, of any.
    (
        alert("TidegateFeedTokensRefused", 73, source="a"),
        alert("TidegateFeedSilent", 73, source="b"),
    ),
    (alert("TidegateFeedTokensRefused", 74), alert("TidegateFeedSilent", 74, source="a")),
    # What the gates refuse says nothing of the pager's webhook: the rule leaves out what they explain.
    (
        alert("TidegateAlertsRefused", 71, code="401"),
        alert("TidegateNotificationsFailing", 71, integration="webhook"),
    ),
    # A leak of the store is not one of the gate, nor one of the gate one of the store.
    (alert("TidegateLeakConfirmed", 62, process="gate"), alert("TidegateStoreLeakSuspected", 62)),
    (alert("TidegateLeakConfirmed", 20, process="gate"), alert("TidegateSlowLeak", 20, process="store")),
    # A gate that is down explains no failures.
    (alert("TidegateTargetDown", 15), alert("TidegateErrorBudgetBurnSlow", 15, sli="requests")),
    # Each tells of one gate, process, map or kind of request, and of no other.
    *(
        (alert(cause, number, **of), alert(name, number, **of | {label: "another"}))
        for number, (cause, name, of, label) in enumerate(
            (
                ("TidegateWorkersRestarting", "TidegateWorkersDown", {}, "instance"),
                ("TidegateErrorBudgetBurnFast", "TidegateErrorBudgetBurnSlow", {"sli": "requests"}, "sli"),
                ("TidegateCleanupFailing", "TidegateCleanupStale", {"map": "signatures"}, "map"),
                ("TidegateCleanupFailing", "TidegateCleanupStale", {"map": "signatures"}, "instance"),
                ("TidegateGuardIneffective", "TidegateLeakConfirmed", {"process": "gate"}, "instance"),
                ("TidegateGuardIneffective", "TidegateLeakConfirmed", {"process": "gate"}, "process"),
                ("TidegateLeakConfirmed", "TidegateLeakSustained", {"process": "gate"}, "instance"),
                ("TidegateCpuSaturated", "TidegateEventLoopLag", {"process": "gate"}, "instance"),
                (
                    "TidegateConnectionsNearLimit",
                    "TidegateDescriptorsNearLimit",
                    {"process": "gate"},
                    "instance",
                ),
                (
                    "TidegateConnectionsNearLimit",
                    "TidegateDescriptorsNearLimit",
                    {"process": "gate"},
                    "process",
                ),
            ),
            start=200,
        )
    ),
    *(
        (
            alert("Disk", number, severity="critical", **{label: "one"}),
            alert("Disk", number, severity="warning", **{label: "another"}),
        )
        for number, label in enumerate(("instance", "process", "sli"), start=220)
    ),
    # That everything is rejected at the moment silences no page, and no feed that is silent.
    (alert("TidegateIngestRejecting", 86), alert("TidegateIngestRejected", 86)),
    (alert("TidegateIngestRejecting", 87), alert("TidegateIngestStopped", 87)),
    (alert("TidegateIngestRejecting", 88), alert("TidegateFeedSilent", 88, source="a")),
    # That a leak of the store is suspected for long is not that it is confirmed.
    (alert("TidegateLeakSustained", 83, process="store"), alert("TidegateStoreLeakSuspected", 83)),
]


def elsewhere(pair: tuple[Labels, Labels]) -> tuple[tuple[Labels, Labels], tuple[Labels, Labels]]:
    """Return both alerts twice: the second in another namespace, and in another job."""
    first, second = pair
    return (first, second | {"namespace": "elsewhere"}), (
        first,
        second | {"job": f"{second['job']}-elsewhere"},
    )
