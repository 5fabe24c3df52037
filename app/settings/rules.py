"""What settings have to fit one another, so that the laws on windows, retentions and bounds can be kept."""

from collections.abc import Iterator

from pydantic_settings import BaseSettings

from app.settings.environment import env_name

# The first must not be above the second.
ORDERED = (
    ("emergency_transaction_retention_seconds", "transaction_retention_seconds"),
    ("emergency_observation_retention_seconds", "observation_retention_seconds"),
    ("dedup_window_seconds", "emergency_transaction_retention_seconds"),
    ("memory_soft_exit_ratio", "memory_soft_ratio"),
    ("memory_soft_ratio", "memory_hard_ratio"),
    ("memory_soft_exit_ratio", "memory_hard_exit_ratio"),
    ("memory_hard_exit_ratio", "memory_hard_ratio"),
    ("memory_sample_seconds", "leak_window_seconds"),
    ("max_payload_bytes", "max_body_bytes"),
    ("max_body_bytes", "max_in_flight_bytes"),
    ("max_inflated_bytes", "max_in_flight_bytes"),
    ("max_body_bytes", "max_queued_bytes"),
    ("max_inflated_bytes", "max_queued_bytes"),
    ("max_batch_items", "max_queued_items"),
    ("signatures_warn_entries", "signatures_limit"),
    ("transactions_warn_entries", "transactions_limit"),
    ("observations_warn_entries", "observations_limit"),
)
# Given by their variable or by a file, not by both.
TOKEN_LISTS = ("ingest_tokens", "admin_tokens")


def contradictions(settings: BaseSettings) -> Iterator[str]:
    """A sentence for each two settings that do not fit one another."""
    for lower, upper in ORDERED:
        low, high = getattr(settings, lower), getattr(settings, upper)
        if low is not None and low > high:
            yield f"{env_name(lower)}={low} must not be above {env_name(upper)}={high}"
    for name in TOKEN_LISTS:
        if getattr(settings, name) and getattr(settings, f"{name}_file"):
            yield f"set {env_name(name)} or {env_name(name)}_FILE, not both"
