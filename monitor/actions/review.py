"""The review queue as rules: what goes to people, in which order, who may decide it, and what they see.

Most items are a *second phase* of the draw: of the outputs that an evaluator judged, some are drawn for people, with a
known probability that depends on the verdict. These labels alone feed estimates. Flagged examples, held actions,
outputs asked for as anchors and second opinions explain and decide, and never enter an estimate.

An item is leased to one person for some minutes. Each lease has a number that only rises, the fence: a decision counts
only with the fence of the latest lease. `monitor.ledger.reviews` keeps the items. Pure: no clock, no I/O.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

import msgspec

from monitor.errors import OqmError

LEASE_S = 900.0
"""A long conversation is read in some minutes; a reviewer who has left blocks an item no longer than this."""
SHORTEST_LEASE_S, LONGEST_LEASE_S = 30.0, 86_400.0
FRESH_S = 60.0
"""Added to every age: of two items that come at the same moment, the dearer one is first from the start."""
MAX_NOTE_CHARS = 4_000  # a page: what a person writes to explain a label
MAX_PERSON_CHARS = 256  # no person's name is longer; it is part of a key of the database


class ReviewError(OqmError):
    """A request about the review queue cannot be followed; the message says why."""


class InvalidReview(ReviewError):
    """A name, duration or decision that cannot be; the message says what to change."""


class NoSuchItem(ReviewError):
    """There is no item with this id."""


class StaleLease(ReviewError):
    """A decision with a fence that is not the latest: someone else has the item now, or it is decided."""


class NotYours(ReviewError):
    """A decision that this person may not take: another one's lease, or a second opinion on their own first one."""


class Kind(StrEnum):
    """Why people look at it."""

    SAMPLE = "sample"  # drawn with a known probability: calibrates the evaluator
    SECOND = "second"  # a second opinion, blind, on what another person has decided
    FLAGGED = "flagged"  # an example of an alert, or what someone asked people to look at
    HELD = "held"  # an action that waits for people
    ANCHOR = "anchor"  # to be labelled for the anchors of its criterion


COST: Mapping[Kind, float] = {
    Kind.SAMPLE: 1.0,
    Kind.SECOND: 1.0,
    Kind.ANCHOR: 1.0,
    Kind.FLAGGED: 3.0,
    Kind.HELD: 10.0,
}
"""Cost of an error beside that of a sampled output: somebody waits for a held action, and an alert for its examples."""


class Opinion(StrEnum):
    """What a person says."""

    PASS = "pass"
    FAIL = "fail"
    UNSURE = "unsure"  # cannot tell: a missing label, neither passing nor failing


class Also(StrEnum):
    """What else a decided output is good for."""

    ANCHOR = "anchor"  # by which the evaluator is watched (`oqm anchors add`)
    SUITE = "suite"  # a case of a suite
    REFERENCE = "reference"  # an example of what is normal


class State(StrEnum):
    """Where an item stands. A leased item is open, with a lease that is not over."""

    OPEN = "open"
    DECIDED = "decided"
    CLOSED = "closed"  # nobody needs to look any more: its texts have ended, the held action was decided elsewhere


class ReviewItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One output, or held action, for people.

    Attributes
    ----------
    id
        Of `item_id`: the same output by the same criterion for the same reason is one item, however often it comes.
    kind, state, stream, event, time
        Why, where it stands, and the output: name of its stream, id, time in seconds since 1970.
    criterion
        By which it is to be labelled; empty: is it good?
    topic, partition, position
        Place of the output's message, where it is known.
    evaluator, identity, verdict
        Who judged it and how; None where nobody did.
    stratum, judged_probability, probability
        Of the draw: its stratum, the probability with which it was judged, and with which it then came to people.
    groups
        By what estimates can be broken down: model, prompt, segment, language, length, noise, mixed.
    second
        Whether a second opinion was drawn for it.
    first
        Of a second opinion: the id of the first one's item.
    scope, key
        Of a held action.
    reason
        Why it was flagged, in words.
    cost
        Of an error, beside that of other items.
    created
        When it came to the queue, seconds since 1970.
    saw
        Of a held action: fingerprint, text hash and policy version of what its reviewer was given.
    fence, leased_by, leased_until
        Number of the latest lease, 0 before the first; whose it is, until when.
    """

    id: str
    kind: Kind
    stream: str
    event: str
    time: float
    created: float
    state: State = State.OPEN
    criterion: str = ""
    topic: str | None = None
    partition: int | None = None
    position: int | None = None
    evaluator: str = ""
    identity: str = ""
    verdict: bool | None = None
    stratum: str = ""
    judged_probability: float = 1.0
    probability: float = 1.0
    groups: Mapping[str, str] = {}
    second: bool = False
    first: str | None = None
    scope: str = ""
    key: str = ""
    reason: str = ""
    cost: float = 1.0
    saw: tuple[str, ...] = ()
    fence: int = 0
    leased_by: str = ""
    leased_until: float | None = None

    def leased(self, now: float) -> bool:
        """Whether somebody has it at present."""
        return self.state is State.OPEN and self.leased_until is not None and self.leased_until > now


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a person decided on an item."""

    item: str
    by: str
    opinion: Opinion
    at: float
    fence: int
    note: str = ""
    also: tuple[Also, ...] = ()


class ReviewMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message of `oqm.reviews`: a decision, and what it is about. Texts are in the trace store alone."""

    item: str
    kind: Kind
    stream: str
    event: str
    criterion: str
    opinion: Opinion
    by: str
    at: float
    verdict: bool | None = None
    evaluator: str = ""
    identity: str = ""
    judged_probability: float = 1.0
    probability: float = 1.0
    first: str | None = None
    scope: str = ""
    key: str = ""
    also: tuple[Also, ...] = ()
    v: int = 1


def message_of(item: ReviewItem, decision: Decision) -> ReviewMessage:
    """What the topic says of a decision."""
    of_item = {name: getattr(item, name) for name in ReviewMessage.__struct_fields__ if hasattr(item, name)}
    given = {name: getattr(decision, name) for name in ("item", "opinion", "by", "at", "also")}
    return ReviewMessage(**(of_item | given))


class Phase(NamedTuple):
    """How a judged output comes to people: with which probability, and whether a second person shall label it too."""

    probability: float
    second: bool


def second_phase(salt: bytes, stream: str, event: str, probability: float, second_opinion: float) -> Phase | None:
    """Whether a judged output is drawn for people, who label it with this probability; None: it is not.

    By keyed hashes of stream and event, independent of the draw for the evaluator and of one another; so a log that is
    read again draws the same ones, and a raised probability keeps those of before. An output that several criteria
    judged comes to people for several of them where it can: it is read once.

    `salt` (1 to 64 bytes) is the key of the installation's draw.
    """
    if _uniform(salt, b"oqm-people", stream, event) >= probability:
        return None
    return Phase(probability, _uniform(salt, b"oqm-second", stream, event) < second_opinion)


def _uniform(salt: bytes, what: bytes, stream: str, event: str) -> float:
    """A number in [0, 1) with 53 random bits."""
    said = f"{len(stream)}:{stream}{event}".encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(said, digest_size=8, key=salt, person=what).digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)


def item_id(kind: Kind, *parts: object) -> str:
    """32 hexadecimal digits that name an item by what it is about."""
    text = "".join(f"{len(part)}:{part}" for part in (kind.value, *map(str, parts)))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def priority(item: ReviewItem, now: float) -> float:
    """What is looked at first: cost of an error times age. Of the same cost, the oldest."""
    return item.cost * (max(0.0, now - item.created) + FRESH_S)


def checked_lease(lease_s: float) -> float:
    """A lease's duration in seconds. Raises `InvalidReview`."""
    if not SHORTEST_LEASE_S <= lease_s <= LONGEST_LEASE_S:
        raise InvalidReview(f"a lease lasts {SHORTEST_LEASE_S:.0f} to {LONGEST_LEASE_S:.0f} s, not {lease_s:g}")
    return lease_s


def checked_person(name: str) -> str:
    """A person's name as the ledger keeps it. Raises `InvalidReview`."""
    name = name.strip()
    if not name or len(name) > MAX_PERSON_CHARS or not name.isprintable():
        raise InvalidReview(f"a reviewer's name has 1 to {MAX_PERSON_CHARS} printable characters")
    return name


def check_decision(item: ReviewItem, by: str, fence: int) -> None:
    """Whether this person may decide, or give back, the item with this fence. Raises `StaleLease` or `NotYours`.

    A lease that is over still counts as long as nobody else has got the item: what a slow reader has read is not
    thrown away, and the fence keeps two decisions apart.
    """
    if item.state is not State.OPEN:
        raise StaleLease(f"{item.id}: it is {item.state.value} already; take the next one")
    if fence != item.fence or not item.fence:
        who = "someone else has it now" if item.fence > fence else "nobody was given this fence"
        raise StaleLease(f"{item.id}: fence {fence} is not the latest, {item.fence}: {who}; take the next one")
    if by != item.leased_by:
        raise NotYours(f"{item.id}: it was given to someone else")


def second_opinion(item: ReviewItem, decision: Decision) -> ReviewItem | None:
    """The item for a second person, where one was drawn and the first could tell; it does not say what they said."""
    if item.kind is not Kind.SAMPLE or not item.second or decision.opinion is Opinion.UNSURE:
        return None
    return msgspec.structs.replace(
        item,
        id=item_id(Kind.SECOND, item.id),
        kind=Kind.SECOND,
        first=item.id,
        second=False,
        created=decision.at,
        fence=0,
        leased_by="",
        leased_until=None,
    )


BLIND = frozenset({Kind.SAMPLE, Kind.SECOND})
"""Kinds whose evaluator's verdict is not shown before the decision: a label that has seen it agrees with it too
often, and would not correct it."""


def shown(item: ReviewItem) -> ReviewItem:
    """The item as its reviewer may see it before the decision.

    Of a blind one neither the verdict nor what gives it away: the probability depends on the verdict, the cost on the
    kind. A second opinion looks like any sampled output.
    """
    if item.kind not in BLIND:
        return item
    return msgspec.structs.replace(
        item,
        kind=Kind.SAMPLE,
        verdict=None,
        evaluator="",
        identity="",
        stratum="",
        judged_probability=1.0,
        probability=1.0,
        second=False,
        first=None,
        reason="",
    )
