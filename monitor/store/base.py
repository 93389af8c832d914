"""What a trace store is, for the worker that writes it and the commands that read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from monitor.actions.cascade import Edge
from monitor.errors import OqmError
from monitor.store.alerts import AlertsKnown, StoredAlert
from monitor.store.feedback import StoredFeedback, VotesOf
from monitor.store.quality import QualityCounts, Window
from monitor.store.query import OutputId, Search, StoredJudgment, StoredOutput
from monitor.store.records import Incoming


class StoreError(OqmError):
    """The store cannot be opened, read or written; the message says which, why, and what to do."""


class TraceStore(Protocol):
    """Rows of outputs with the position in the log that they come from.

    All methods block, and raise `StoreError` where the database does not answer or refuses. One thread writes.
    """

    def positions(self, topic: str) -> dict[int, int]:
        """The next position to be read of each partition of the topic with this id."""
        ...

    def write(self, incoming: Incoming) -> None:
        """Write rows and positions so that after a death at any moment each message is one row, and none is lost."""
        ...

    def find(self, event: str) -> list[StoredOutput]:
        """The outputs with an id, the newest first."""
        ...

    def search(self, search: Search) -> list[StoredOutput]:
        """The outputs that a search asks for, the newest first."""
        ...

    def judgments(self, event: str) -> list[StoredJudgment]:
        """The judgments of the outputs with an id, the oldest first."""
        ...

    def edges(
        self, nodes: Sequence[str], limit: int, *, into: bool = False, since_day: int | None = None
    ) -> list[Edge]:
        """At most `limit` edges out of some nodes (`monitor.actions.cascade.node`), or into them.

        `since_day`, in days since 1970, leaves out what was said before: what follows from an output comes after it.
        """
        ...

    def outputs_between(self, stream: str, since: float, until: float, limit: int) -> list[OutputId]:
        """At most `limit` outputs of a stream with a time in [since, until), the oldest first."""
        ...

    def find_alert(self, identity: str) -> StoredAlert | None:
        """The newest transition of the alert with an id."""
        ...

    def with_verdict(self, judgments: Sequence[tuple[int, str]]) -> set[str]:
        """The keys of those judgments, each given by its day and key, that are stored with a verdict."""
        ...

    def alerts(self, stream: str) -> list[StoredAlert]:
        """Alerts of a stream, and of verdicts and feedback on its outputs, by their newest transition; newest first.

        At most one more than `monitor.store.alerts.MAX_ALERTS`, which says that there are more.
        """
        ...

    def alerts_known(self) -> AlertsKnown:
        """For which time the store knows the alerts."""
        ...

    def quality(self, asked: Window) -> QualityCounts:
        """Outputs, verdicts and checks of a window, counted."""
        ...

    def feedback(self, event: str) -> list[StoredFeedback]:
        """What users said of the outputs with an id, the earliest first."""
        ...

    def votes(self, asked: Window) -> VotesOf:
        """How many users were content and were not, of what was said in a window, by stream and kind.

        Where the sender named no stream it is that of the stored output; what has neither is not counted.
        """
        ...

    def drop_before(self, day: int) -> int:
        """Remove the rows of all days before `day` (days since 1970), by whole days. Returns how many days."""
        ...

    def close(self) -> None:
        """Release connections and files."""
        ...
