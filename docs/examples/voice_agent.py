"""A voice agent that has not understood after two attempts hands over to a person, with the conversation.

OQM_URL=http://127.0.0.1:8086 OQM_TOKEN=... python docs/examples/voice_agent.py
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from monitor.gate import Answer, Gate

INTENTS = {"balance": "Your balance is 120 euros.", "card": "I have blocked your card."}


def recognised(words: str) -> str | None:
    """The intent, or None where the agent does not understand; a model stands here in earnest."""
    return next((intent for intent in INTENTS if intent in words), None)


def talk(gate: Gate, call: str, hear: Callable[[], str]) -> Iterator[str]:
    """What the agent says in one call; `hear` gives the caller's next words."""
    conversation: list[tuple[str, str]] = []
    failed = 0
    yield "How can I help you?"
    while True:
        words = hear()
        conversation.append(("caller", words))
        intent = recognised(words)
        if intent is not None:
            yield INTENTS[intent]
            return
        failed += 1
        answer = gate.failed_attempt("voice_intent", call, failed, conversation=conversation)
        if answer.answer is not Answer.PASS:
            # The person finds the conversation under this key: `oqm review`, or GET /v1/actions/KEY.
            yield f"I will put you through to a colleague. ({answer.key})"
            return
        reply = "I did not understand that. Could you say it in other words?"
        conversation.append(("agent", reply))
        yield reply


def main(gate: Gate) -> None:
    """Two calls: one that is understood at the second attempt, and one that is not."""
    for call, said in (("call-1", ["ehm", "my card is gone"]), ("call-2", ["the thing", "you know, the thing"])):
        words = iter(said)
        for reply in talk(gate, call, lambda words=words: next(words)):  # type: ignore[misc]
            print(f"{call}: {reply}")


if __name__ == "__main__":
    with Gate(os.environ["OQM_URL"], os.environ["OQM_TOKEN"]) as made:
        main(made)
