"""`Desk`: the review queue as a person works with it. Used by `oqm review` and by the routes of `/v1/reviews`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from monitor.actions.review import (
    BLIND,
    COST,
    Also,
    InvalidReview,
    Kind,
    NoSuchItem,
    Opinion,
    ReviewItem,
    State,
    item_id,
    shown,
)
from monitor.ledger.reviews import ReviewQueue
from monitor.review.records import (
    Ask,
    Decide,
    Decided,
    Extend,
    Flag,
    Flagged,
    HeldAction,
    Listed,
    ListedItem,
    Release,
    ReviewedItem,
)
from monitor.store.kept_form import masked
from monitor.store.privacy import Keep

if TYPE_CHECKING:
    from monitor.ledger.base import Ledger
    from monitor.settings import Settings
    from monitor.store.base import TraceStore
    from monitor.store.query import StoredJudgment, StoredOutput


class Reviewer(Protocol):
    """What one person does with the queue, here or over HTTP.

    Raises `monitor.actions.review.ReviewError` (`StaleLease`: take the next one), and `monitor.errors.OqmError` where a
    database or the service does not answer.
    """

    def next(self, ask: Ask) -> ReviewedItem | None:
        """The most urgent item, leased; None where nothing waits for this person."""
        ...

    def decide(self, item: str, decision: Decide) -> Decided:
        """Say what it is."""
        ...

    def release(self, item: str, given: Release) -> None:
        """Give it back."""
        ...

    def extend(self, item: str, given: Extend) -> float:
        """Keep it longer; until when, seconds since 1970."""
        ...

    def list(self, *, kind: Kind | None, stream: str | None, criterion: str | None, limit: int) -> Listed:
        """What waits, the most urgent first."""
        ...

    def flag(self, flag: Flag) -> Flagged:
        """Ask people to look at an output."""
        ...


class Desk:
    """`Reviewer` on the databases themselves.

    Parameters
    ----------
    settings
        The words of the criteria.
    ledger
        Where the queue is.
    traces
        Where texts are; None: items are shown without.
    by
        Who reviews.
    now
        Seconds since 1970, at the time of each call.
    may_approve
        Whether this person may decide held actions; else they are not given any.
    app
        The application whose held actions this person sees; None: every one's.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        traces: TraceStore | None,
        by: str,
        now: Clock,
        *,
        may_approve: bool = True,
        app: str | None = None,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._queue = ReviewQueue(ledger)
        self._traces = traces
        self._by = by
        self._now = now
        self._may_approve = may_approve
        self._app = app

    def next(self, ask: Ask) -> ReviewedItem | None:
        """See `Reviewer`."""
        kinds = _kinds(ask.kind, may_approve=self._may_approve)
        found = self._queue.next(
            self._by,
            self._now(),
            lease_s=ask.lease_s,
            kinds=kinds,
            stream=ask.stream,
            criterion=ask.criterion,
            app=self._app,
        )
        return None if found is None else self._shown(found)

    def decide(self, item: str, decision: Decide) -> Decided:
        """See `Reviewer`."""
        found = self._queue.get(item)
        if found.kind is Kind.HELD and not self._may_approve:
            raise InvalidReview(f"{item}: is a held action, which needs the scope approve")
        if found.kind is Kind.HELD and self._app not in (None, found.scope):
            raise NoSuchItem(f"{item}: no such item in the review queue")
        if Also.ANCHOR in decision.also and (not found.criterion or decision.opinion is Opinion.UNSURE):
            raise InvalidReview(f"{item}: an anchor is an output that passes or fails a criterion")
        now = self._now()
        made = self._queue.decide(
            item,
            self._by,
            decision.fence,
            decision.opinion,
            now,
            note=self._kept(found.stream, decision.note),
            also=decision.also,
        )
        judged = self._judged(found)
        return Decided(
            id=item,
            kind=shown(found).kind,
            opinion=made.opinion,
            by=made.by,
            at=made.at,
            note=made.note,
            also=made.also,
            verdict=found.verdict,
            evaluator=found.evaluator,
            rationale=judged.rationale if judged else None,
        )

    def release(self, item: str, given: Release) -> None:
        """See `Reviewer`."""
        self._queue.release(item, self._by, given.fence, skip=given.skip)

    def extend(self, item: str, given: Extend) -> float:
        """See `Reviewer`."""
        until = self._queue.extend(item, self._by, given.fence, self._now(), given.lease_s).leased_until
        assert until is not None
        return until

    def list(self, *, kind: Kind | None, stream: str | None, criterion: str | None, limit: int) -> Listed:
        """See `Reviewer`."""
        now = self._now()
        self._queue.refresh(now)
        found = self._queue.list(now, kind=kind, stream=stream, criterion=criterion, limit=limit, app=self._app)
        items = tuple(_listed(one, now) for one in found)
        waiting: dict[str, int] = {}
        for (of, state), count in self._queue.waiting().items():
            if state is State.OPEN:
                waiting[of.value] = waiting.get(of.value, 0) + count
        return Listed(items=items, waiting=dict(sorted(waiting.items())))

    def flag(self, flag: Flag) -> Flagged:
        """See `Reviewer`. Raises `InvalidReview` where the trace store has no such output."""
        if flag.criterion is not None and all(one.name != flag.criterion for one in self._settings.criteria):
            raise InvalidReview(f"criterion {flag.criterion}: the settings have none of this name")
        if flag.anchor and flag.criterion is None:
            raise InvalidReview("anchor: needs the criterion by which the output shall be labelled")
        output = self._output(flag.stream, flag.event)
        if output is None:
            raise InvalidReview(f"event {flag.event}: the trace store has no such output")
        kind = Kind.ANCHOR if flag.anchor else Kind.FLAGGED
        place = (output.topic, output.partition, output.position)
        item = ReviewItem(
            id=item_id(kind, *place, flag.criterion or "", "flagged"),
            kind=kind,
            stream=output.stream,
            event=output.id,
            time=output.time,
            created=self._now(),
            criterion=flag.criterion or "",
            topic=output.topic,
            partition=output.partition,
            position=output.position,
            reason=self._kept(output.stream, flag.reason) or f"flagged by {self._by}",
            cost=COST[kind],
        )
        return Flagged(id=item.id, new=bool(self._queue.put([item])))

    def _kept(self, stream: str, text: str) -> str:
        """What a person wrote, which may quote an output: masked, unless outputs of the stream are kept in full."""
        keep = self._settings.store.privacy.policy(stream).output
        return text if keep is Keep.FULL else str(masked(text))

    def _shown(self, item: ReviewItem) -> ReviewedItem:
        seen = shown(item)
        output = self._output(item.stream, item.event, item) if item.event else None
        judged = None if item.kind in BLIND else self._judged(item)
        assert item.leased_until is not None
        return ReviewedItem(
            id=item.id,
            fence=item.fence,
            leased_until=item.leased_until,
            kind=seen.kind,
            stream=item.stream,
            event=item.event,
            time=item.time,
            criterion=item.criterion,
            question=self._question(item),
            input=output.input if output else None,
            output=output.output if output else None,
            prompt=output.prompt_text if output else None,
            version=output.version if output else None,
            fields=_known(output.fields) if output else {},
            reason=seen.reason,
            verdict=judged.passed if judged else seen.verdict,
            rationale=judged.rationale if judged else None,
            evaluator=seen.evaluator,
            action=self._action(item) if item.kind is Kind.HELD else None,
            texts_missing=output is None,
        )

    def _question(self, item: ReviewItem) -> str:
        return next(
            (one.passes or "" for one in self._settings.criteria_of(item.stream) if one.name == item.criterion), ""
        )

    def _output(self, stream: str | None, event: str, item: ReviewItem | None = None) -> StoredOutput | None:
        """The output with an id; of several, the one at the place that the item names."""
        found = [] if self._traces is None else self._traces.find(event)
        found = [one for one in found if stream in (None, "", one.stream)]
        if item is not None and item.topic is not None:
            place = (item.topic, item.partition, item.position)
            found = [one for one in found if (one.topic, one.partition, one.position) == place] or found
        return found[0] if found else None

    def _judged(self, item: ReviewItem) -> StoredJudgment | None:
        """What the evaluator said, with its reason, while the trace store keeps it."""
        if self._traces is None or item.verdict is None:
            return None
        found = [
            one
            for one in self._traces.judgments(item.event)
            if (one.criterion, one.identity, one.stream) == (item.criterion, item.identity, item.stream)
        ]
        return found[0] if found else None

    def _action(self, item: ReviewItem) -> HeldAction:
        action = self._ledger.get(item.scope, item.key)
        return HeldAction(**{name: getattr(action, name) for name in HeldAction.__struct_fields__})


def _known(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that say something."""
    return {name: value for name, value in fields.items() if value not in (None, {}, [], "")}


class Clock(Protocol):
    """Seconds since 1970."""

    def __call__(self) -> float: ...  # noqa: D102  see the class


def _kinds(kind: Kind | None, *, may_approve: bool) -> Iterable[Kind]:
    """The kinds asked for. Sampled outputs and second opinions look alike: neither is asked for without the other."""
    if kind is Kind.HELD and not may_approve:
        raise InvalidReview("held actions need the scope approve")
    if kind in BLIND:
        return tuple(BLIND)
    if kind is not None:
        return (kind,)
    return tuple(each for each in Kind if may_approve or each is not Kind.HELD)


def _listed(item: ReviewItem, now: float) -> ListedItem:
    known = {name: getattr(shown(item), name) for name in ListedItem.__struct_fields__}
    if not item.leased(now):
        known |= {"leased_by": "", "leased_until": None}
    return msgspec.structs.replace(ListedItem(**known), kind=item.kind)
