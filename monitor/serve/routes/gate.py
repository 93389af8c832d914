"""`POST /v1/gate`: may this be done?"""

from __future__ import annotations

from monitor.actions.messages import GateAnswer, GateRequest
from monitor.serve.context import Context
from monitor.serve.gatekeeper import Gatekeeper
from monitor.serve.problem import ProblemDetail
from monitor.serve.route import Answer, Route
from monitor.serve.scopes import Scope


def ask(ctx: Context, body: GateRequest) -> Answer:
    """The answer of the gate."""
    answer = ctx.part(Gatekeeper).answer(body, ctx.action_scope, ctx.requester.identity, ctx.now)
    return Answer(200, answer)


ROUTES = (
    Route(
        method="POST",
        path="/v1/gate",
        scope=Scope.GATE,
        summary="Ask whether an action may be carried out",
        description="The same key again gets the answer that holds now: what was held may be allowed, or expired.",
        handler=ask,
        request=GateRequest,
        responses={200: GateAnswer, 422: ProblemDetail},
    ),
)
