"""`GET /v1/traces/{event}`: an output with what is known of it, from the trace store."""

from __future__ import annotations

import msgspec

from monitor.serve.context import Context
from monitor.serve.problem import Problem, ProblemDetail
from monitor.serve.route import Answer, Route
from monitor.serve.scopes import Scope
from monitor.store.feedback import StoredFeedback
from monitor.store.query import StoredJudgment, StoredOutput


class TraceQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Only the outputs of this stream: ids are the applications', and two may have used one."""

    stream: str | None = None


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """One output with its judgments and what users said; texts in the form in which privacy lets them be kept."""

    output: StoredOutput
    judgments: list[StoredJudgment]
    feedback: list[StoredFeedback]


class Traces(msgspec.Struct, frozen=True, kw_only=True):
    """The outputs with this id, the newest first."""

    traces: list[Trace]


def traces(ctx: Context, _: None) -> Answer:
    """The outputs with this id."""
    event, stream = ctx.path["event"], ctx.query.stream
    with ctx.traces.reading() as store:
        found = [one for one in store.find(event) if stream in (None, one.stream)]
        judgments = store.judgments(event) if found else []
        feedback = store.feedback(event) if found else []
    if not found:
        raise Problem(404, "no-such-output", "The trace store has no output with this id.")
    return Answer(
        200,
        Traces(
            traces=[
                Trace(
                    output=one,
                    judgments=[each for each in judgments if each.of(one)],
                    feedback=[each for each in feedback if each.stream in (None, one.stream)],
                )
                for one in found
            ]
        ),
    )


ROUTES = (
    Route(
        method="GET",
        path="/v1/traces/{event}",
        scope=Scope.READ,
        summary="An output with what is known of it",
        handler=traces,
        query=TraceQuery,
        responses={200: Traces, 404: ProblemDetail},
    ),
)
