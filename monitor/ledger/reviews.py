"""The review queue in the ledger: what waits for people, who has it, and what they decided.

`ReviewQueue` changes items inside the ledger's own transactions (`Ledger.write`), which come one after another: so two
people never get the same item, and a decision, its second opinion and the entry of the audit log are written together.
`monitor.actions.review` has the rules; `monitor.ledger.labels` counts decisions for estimates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, func, insert, or_, select, update

from monitor.actions import review
from monitor.actions.review import Also, Decision, InvalidReview, Kind, NoSuchItem, Opinion, ReviewItem, State
from monitor.ledger.base import Ledger, Transaction
from monitor.ledger.held import apply_held, held_changes
from monitor.ledger.review_rows import as_json, bar, insert_items, item_of
from monitor.ledger.review_tables import review_barred, review_decision, review_item

TOPIC = "reviews"
CLOCK = "clock"
"""Actor of what time alone changes."""
CANDIDATES = 50
"""Items that are tried for one request: more than people who ask at the same moment."""
MAX_LISTED = 1_000  # of one list: more is no longer read by a person


class ReviewQueue:
    """The queue of one ledger. All methods block, and may be called from any thread and process.

    They raise `LedgerError` where the database does not answer, `NoSuchItem` for an id that names nothing. `now` is the
    caller's clock, in seconds since 1970.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def put(self, items: Sequence[ReviewItem]) -> int:
        """Enter items that are not there yet; how many were new. An item that was decided stays decided."""
        if not items:
            return 0
        return self._ledger.write(lambda tx: insert_items(tx.connection, items))

    def next(
        self,
        by: str,
        now: float,
        *,
        lease_s: float = review.LEASE_S,
        kinds: Iterable[Kind] = tuple(Kind),
        stream: str | None = None,
        criterion: str | None = None,
        app: str | None = None,
    ) -> ReviewItem | None:
        """Lease to `by` what is most urgent of what they may decide; None where nothing waits for them.

        `stream` is a name, or a pattern with * at its end; of held actions only those of the scope `app` count, where
        it is given. Held actions are taken from the ledger first. The item is as the ledger has it:
        `monitor.actions.review.shown` hides what its reviewer must not see.
        """
        by, lease_s = review.checked_person(by), review.checked_lease(lease_s)
        wanted = tuple(kinds)
        if Kind.HELD in wanted:
            self.refresh(now)
        conditions = [_free(now), review_item.c.kind.in_(wanted), *_narrowed(stream, criterion, app)]
        few: int | None = CANDIDATES
        while True:
            # Chosen outside of the transaction, which all claims of actions wait for; there only the first that is
            # still free is taken.
            chosen, more = self._ledger.read(partial(_candidates, conditions=conditions, by=by, now=now, few=few))
            if chosen:
                found = self._ledger.write(partial(_leased, chosen=chosen, by=by, now=now, until=now + lease_s))
                if found is not None:
                    return found
            elif not more:
                return None
            few = None if not chosen else CANDIDATES

    def decide(
        self,
        item: str,
        by: str,
        fence: int,
        opinion: Opinion,
        now: float,
        *,
        note: str = "",
        also: Iterable[Also] = (),
    ) -> Decision:
        """What a person says, and with it a second opinion where one was drawn. The same again is the same decision.

        Of a held action, `pass` approves what the person was given and `fail` rejects it: the action's own rules hold.
        Raises `StaleLease`, `NotYours`, `InvalidReview`, and `NotAllowed` of actions.
        """
        decision = Decision(
            item=item,
            by=review.checked_person(by),
            opinion=opinion,
            at=now,
            fence=fence,
            note=_checked_note(note),
            also=tuple(sorted(set(also))),
        )
        found = self.get(item)
        if found.kind is Kind.HELD and found.state is State.OPEN:
            review.check_decision(found, decision.by, fence)
            self._decide_action(found, decision)

        def work(tx: Transaction) -> Decision:
            return _decided(tx, decision)

        return self._ledger.write(work)

    def _decide_action(self, item: ReviewItem, decision: Decision) -> None:
        """Before the item: the process may end in between, and then the item is closed, as nothing waits any more."""
        if decision.opinion is Opinion.UNSURE:
            raise InvalidReview(f"{item.id}: a held action is passed or failed; or give it back for someone else")
        if decision.also:
            raise InvalidReview(f"{item.id}: a held action is no anchor, case or reference")
        if decision.opinion is Opinion.PASS:
            fingerprint, text_hash, policy = item.saw
            self._ledger.approve(item.scope, item.key, decision.by, fingerprint, text_hash, policy, decision.at)
        else:
            self._ledger.reject(item.scope, item.key, decision.by, decision.note, decision.at)

    def release(self, item: str, by: str, fence: int, *, skip: bool = True) -> ReviewItem:
        """Give an item back; with `skip` this person does not get it again. Raises `StaleLease`, `NotYours`."""
        by = review.checked_person(by)

        def work(tx: Transaction) -> ReviewItem:
            found = _at(tx.connection, item)
            review.check_decision(found, by, fence)
            if skip:
                bar(tx.connection, [{"item": item, "person": by}])
            return _updated(tx.connection, item, {"leased_until": None})

        return self._ledger.write(work)

    def extend(self, item: str, by: str, fence: int, now: float, lease_s: float = review.LEASE_S) -> ReviewItem:
        """A lease from now on, for who still has the item. Raises `StaleLease`, `NotYours`."""
        by, lease_s = review.checked_person(by), review.checked_lease(lease_s)

        def work(tx: Transaction) -> ReviewItem:
            review.check_decision(_at(tx.connection, item), by, fence)
            return _updated(tx.connection, item, {"leased_until": now + lease_s})

        return self._ledger.write(work)

    def close_before(self, time: float, now: float) -> int:
        """Close open items whose output was made before `time`: its texts are no longer kept. How many."""
        columns = review_item.c
        ended = [columns.state == State.OPEN, columns.kind != Kind.HELD, columns.time < time]
        if not self._ledger.read(lambda connection: connection.scalar(select(func.count()).where(*ended))):
            return 0

        def work(tx: Transaction) -> int:
            count: int = tx.connection.execute(update(review_item).where(*ended).values(state=State.CLOSED)).rowcount
            if count:
                tx.record(now, CLOCK, "closed", "reviews", {"before": time, "items": count})
            return count

        return self._ledger.write(work)

    def get(self, item: str) -> ReviewItem:
        """One item."""
        return self._ledger.read(lambda connection: _at(connection, item))

    def decision(self, item: str) -> Decision | None:
        """What was decided on an item; None: nothing yet."""
        return self._ledger.read(lambda connection: _decision_on(connection, item))

    def list(
        self,
        now: float,
        *,
        state: State | None = State.OPEN,
        kind: Kind | None = None,
        stream: str | None = None,
        criterion: str | None = None,
        app: str | None = None,
        limit: int = 100,
    ) -> Sequence[ReviewItem]:
        """Items: open ones the most urgent first, others the newest first. At most `limit`, and 1,000."""
        columns = review_item.c
        conditions = [*_narrowed(stream, criterion, app), *([columns.kind == kind] if kind else [])]
        if state is not None:
            conditions.append(columns.state == state)
        urgent = columns.cost * (now - columns.created + review.FRESH_S)
        order = urgent.desc() if state is State.OPEN else columns.created.desc()
        statement = select(review_item).where(*conditions).order_by(order, columns.id).limit(min(limit, MAX_LISTED))
        return self._ledger.read(lambda connection: [item_of(row) for row in connection.execute(statement)])

    def marked(self, criterion: str, also: Also) -> Sequence[tuple[ReviewItem, Decision]]:
        """What people decided by a criterion and marked as good for something else, the earliest first."""
        statement = (
            select(review_item.c.id)
            .join(review_decision, review_decision.c.item == review_item.c.id)
            .where(review_item.c.criterion == criterion, review_decision.c.also.contains(f'"{also}"'))
            .order_by(review_decision.c.at, review_item.c.id)
        )

        def read(connection: Connection) -> list[tuple[ReviewItem, Decision]]:
            found = [(_at(connection, name), _decision_on(connection, name)) for name in connection.scalars(statement)]
            return [(item, decision) for item, decision in found if decision is not None]

        return self._ledger.read(read)

    def refresh(self, now: float) -> None:
        """Take held actions into the queue, and close the items of those that wait no longer."""
        changes = self._ledger.read(lambda connection: held_changes(connection, now))
        if changes:
            self._ledger.write(lambda tx: apply_held(tx.connection, changes))

    def oldest(self) -> Mapping[Kind, tuple[int, float]]:
        """Of each kind with open items how many, and since when the oldest waits."""
        columns = review_item.c
        statement = select(columns.kind, func.count(), func.min(columns.created)).where(columns.state == State.OPEN)
        rows = self._ledger.read(lambda connection: connection.execute(statement.group_by(columns.kind)).all())
        return {Kind(kind): (count, since) for kind, count, since in rows}

    def waiting(self) -> Mapping[tuple[Kind, State], int]:
        """How many items there are by kind and state."""
        columns = review_item.c
        statement = select(columns.kind, columns.state, func.count()).group_by(columns.kind, columns.state)
        rows = self._ledger.read(lambda connection: connection.execute(statement).all())
        return Counter({(Kind(kind), State(state)): count for kind, state, count in rows})


def _free(now: float) -> ColumnElement[bool]:
    columns = review_item.c
    return and_(columns.state == State.OPEN, or_(columns.leased_until.is_(None), columns.leased_until <= now))


def _candidates(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], by: str, now: float, few: int | None
) -> tuple[list[str], bool]:
    """The ids of the most urgent items that a person may get, of the first `few` (None: of all); whether there are more
    than were looked at."""
    columns = review_item.c
    urgent = (columns.cost * (now - columns.created + review.FRESH_S)).desc()
    statement = select(columns.id).where(*conditions).order_by(urgent, columns.created, columns.id).limit(few)
    found = list(connection.scalars(statement))
    asked = select(review_barred.c.item).where(review_barred.c.person == by)
    if few is not None:
        asked = asked.where(review_barred.c.item.in_(found))
    barred = set(connection.scalars(asked))
    return [one for one in found if one not in barred][:CANDIDATES], len(found) == few


def _leased(tx: Transaction, chosen: Sequence[str], by: str, now: float, until: float) -> ReviewItem | None:
    """The first that is still free, leased; None where others got them all meanwhile."""
    columns = review_item.c
    values = {"fence": columns.fence + 1, "leased_by": by, "leased_until": until}
    for item in chosen:
        statement = update(review_item).where(columns.id == item, _free(now)).values(values)
        if tx.connection.execute(statement).rowcount:
            return _at(tx.connection, item)
    return None


def _decided(tx: Transaction, decision: Decision) -> Decision:
    connection = tx.connection
    found = _at(connection, decision.item)
    earlier = _decision_on(connection, decision.item)
    if earlier is not None and (earlier.by, earlier.fence, earlier.opinion) == (
        decision.by,
        decision.fence,
        decision.opinion,
    ):
        return earlier  # the same request again: its answer was lost
    review.check_decision(found, decision.by, decision.fence)
    connection.execute(
        insert(review_decision).values({**msgspec.structs.asdict(decision), "also": as_json(decision.also)})
    )
    _updated(connection, found.id, {"state": State.DECIDED, "leased_until": None})
    second = review.second_opinion(found, decision)
    if second is not None:
        insert_items(connection, [second])
        bar(connection, [{"item": second.id, "person": decision.by}])
    message = review.message_of(found, decision)
    about = msgspec.to_builtins(message)
    told = ("kind", "stream", "event", "criterion", "opinion", "verdict", "also", "first")
    body = {name: about[name] for name in told if about.get(name) not in (None, "", [])}
    tx.record(decision.at, decision.by, "reviewed", f"review:{found.id}", {**body, "fence": decision.fence})
    tx.publish(TOPIC, found.event or found.key, msgspec.json.encode(message))
    return decision


def _updated(connection: Connection, item: str, values: Mapping[str, Any]) -> ReviewItem:
    connection.execute(update(review_item).where(review_item.c.id == item).values(values))
    return _at(connection, item)


def _at(connection: Connection, item: str) -> ReviewItem:
    row = connection.execute(select(review_item).where(review_item.c.id == item)).one_or_none()
    if row is None:
        raise NoSuchItem(f"{item}: no such item in the review queue")
    return item_of(row)


def _decision_on(connection: Connection, item: str) -> Decision | None:
    row = connection.execute(select(review_decision).where(review_decision.c.item == item)).one_or_none()
    if row is None:
        return None
    found = dict(row._mapping)
    also = tuple(Also(name) for name in msgspec.json.decode(found["also"]))
    return Decision(**{**found, "opinion": Opinion(found["opinion"]), "also": also})


def _narrowed(stream: str | None, criterion: str | None, app: str | None) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if stream is not None and stream.endswith("*"):
        conditions.append(review_item.c.stream.startswith(stream[:-1], autoescape=True))
    elif stream is not None:
        conditions.append(review_item.c.stream == stream)
    if criterion is not None:
        conditions.append(review_item.c.criterion == criterion)
    if app is not None:
        conditions.append(or_(review_item.c.kind != Kind.HELD, review_item.c.scope == app))
    return conditions


def _checked_note(note: str) -> str:
    if len(note) > review.MAX_NOTE_CHARS:
        raise InvalidReview(f"note: must have at most {review.MAX_NOTE_CHARS:,} characters, has {len(note):,}")
    return note.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
