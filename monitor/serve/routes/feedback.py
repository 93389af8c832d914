"""`POST /v1/feedback`: what a user says of an output, for applications that have no Kafka client."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from monitor.errors import BrokerError, InvalidEvent
from monitor.serve.context import Context
from monitor.serve.problem import Problem
from monitor.serve.route import Answer, Route
from monitor.serve.scopes import Scope

CONFIRMED_WITHIN_S = 2.0
"""How long an answer waits for Kafka: a healthy broker confirms in milliseconds, and users do not wait longer."""
RETRY_S = 5.0
"""When a client may try again where the buffer is full: it holds some thousand records."""


class FeedbackBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a user says of the output `event`: the fields are those of `OutputPublisher.feedback`.

    `value` true or false is a thumb, a number with `scale` ([1, 5]) a rating, `text` alone a correction.
    """

    event: Annotated[str, Meta(min_length=1)]
    value: bool | float | None = None
    stream: str | None = None
    kind: str | None = None
    scale: tuple[float, float] | None = None
    text: str | None = None
    by: str | None = None
    time: float | str | None = None


class FeedbackTaken(msgspec.Struct, frozen=True, kw_only=True):
    """`delivered`: Kafka has confirmed it. If not, this process keeps and sends it: killed before, it is lost."""

    delivered: bool


def feedback(ctx: Context, body: FeedbackBody) -> Answer:
    """Hand it to the publisher, and say whether Kafka has it."""
    publisher = ctx.services.publisher
    if publisher is None:
        raise Problem(501, "no-kafka", "This installation has no Kafka to send feedback to.")
    said = msgspec.structs.asdict(body)
    try:
        publisher.feedback(said.pop("event"), said.pop("value"), **said)
    except InvalidEvent as refused:
        raise Problem(422, "invalid-feedback", f"{refused.detail}.") from None
    except BrokerError:
        detail = "Kafka does not answer and no more can be kept here; the feedback was not taken."
        raise Problem(503, "kafka-unavailable", detail, retry_after_s=RETRY_S) from None
    delivered = publisher.flush(CONFIRMED_WITHIN_S)
    return Answer(200 if delivered else 202, FeedbackTaken(delivered=delivered))


ROUTES = (
    Route(
        method="POST",
        path="/v1/feedback",
        scope=Scope.FEEDBACK,
        summary="Report what a user says of an output",
        handler=feedback,
        request=FeedbackBody,
        responses={200: FeedbackTaken, 202: FeedbackTaken},
    ),
)
