"""What the HTTP service counts, each number declared as the metric that it is exported as.

`ServeStats` is of one process and written by its event loop; `LedgerCounts` is read from the ledger at each scrape, so
it is the same in all processes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from monitor.telemetry.histogram import Histogram
from monitor.telemetry.metric import Metric, counter, declared_in, gauge, histogram

REQUEST_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds of a request: a claim takes some milliseconds, and 20 ms is what the gate promises."""


def _histograms() -> defaultdict[str, Histogram]:
    return defaultdict(lambda: Histogram(REQUEST_BOUNDS))


@dataclass(slots=True)
class ServeStats:
    """What one process of `oqm serve` has answered."""

    requests: Counter[tuple[str, str]] = counter(
        "oqm_serve_requests_total", "HTTP requests that were answered, by route and status.", "route", "status"
    )
    seconds: defaultdict[str, Histogram] = histogram(
        "oqm_serve_request_seconds", "Time from a request's head to its answer, by route.", "route", default=_histograms
    )
    gate_answers: Counter[tuple[str, str]] = counter(
        "oqm_gate_answers_total", "Answers of the gate, by kind of action and what was answered.", "kind", "answer"
    )
    in_flight: int = gauge("oqm_serve_in_flight_requests", "HTTP requests that are being worked on.")
    sweep_failures: int = counter(
        "oqm_serve_sweep_failures_total", "Times that the ledger could not be asked what is due."
    )


@dataclass(slots=True)
class LedgerCounts:
    """What the ledger holds now."""

    actions: Mapping[tuple[str, str], int] = gauge(
        "oqm_ledger_open_actions", "Actions that are not finished, by kind and state.", "kind", "state"
    )
    oldest_s: Mapping[tuple[str, str], float] = gauge(
        "oqm_ledger_oldest_action_seconds",
        "How long the oldest action has been in this state, by kind and state.",
        "kind",
        "state",
    )
    duplicates: Counter[tuple[str, str]] = counter(
        "oqm_ledger_duplicates_total",
        "Requests that would have been a second effect, by kind of action and what they were.",
        "kind",
        "what",
    )
    reviews: Mapping[str, int] = gauge(
        "oqm_review_waiting_items", "Items of the review queue that wait, by kind.", "kind"
    )
    oldest_review_s: Mapping[str, float] = gauge(
        "oqm_review_oldest_item_seconds", "How long the oldest item of the review queue has waited, by kind.", "kind"
    )
    outbox: int = gauge("oqm_ledger_outbox_messages", "Messages that wait for the courier to Kafka.")


SERVE_METRICS: tuple[Metric, ...] = (*declared_in(ServeStats).values(), *declared_in(LedgerCounts).values())
"""All metrics of `oqm serve`, in the order in which they are exported."""
