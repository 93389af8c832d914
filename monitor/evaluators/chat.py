"""The kind `chat`: a model behind chat completions as OpenAI defined them, which most providers and servers speak.

The request asks for JSON of a schema (`response_format`, https://platform.openai.com/docs/guides/structured-outputs);
the answer is checked against it here as well, as not every server enforces it.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec
from pydantic import Field

from monitor.errors import NoVerdict
from monitor.evaluators.base import Answer, Question
from monitor.evaluators.config import HttpEvaluatorConfig
from monitor.evaluators.http import HttpEvaluator, plain
from monitor.evaluators.prompt import SCHEMA, SYSTEM, messages, read_verdict

PATH = "/chat/completions"
REFUSING = {"content_filter", "safety", "SAFETY"}
"""Finish reasons by which providers say that they withheld the answer."""


class ChatConfig(HttpEvaluatorConfig):
    """A model that is asked by OpenAI-compatible chat completions, with a JSON schema for its answer."""

    EXAMPLE: ClassVar[str] = """\
name: main
url: https://api.example/v1      # the path /chat/completions is added
model: judge-large-2026-05-01    # a dated version: a name that the provider moves on is another judge overnight
api_key: ${OQM_EVALUATOR_KEY}
prices: {input: 0.4, output: 1.6}
spend: {usd_per_day: 10}
"""

    kind: Literal["chat"]
    model: str = Field(min_length=1, max_length=200, description="the model, best with its date or version")
    temperature: float | None = Field(
        0.0, ge=0, le=2, description="0: verdicts that hardly vary; null where the model does not take it"
    )
    max_tokens: int = Field(600, ge=50, le=32_000, description="longest answer, in tokens; reasoning models need more")
    max_tokens_key: Literal["max_tokens", "max_completion_tokens"] = Field(
        "max_tokens", description="name of that limit in requests; newer models ask for max_completion_tokens"
    )
    response_format: Literal["json_schema", "json_object", "none"] = Field(
        "json_schema", description="how JSON is asked for; the prompt asks for it in any case"
    )


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    model: str | None = None
    system_fingerprint: str | None = None
    usage: _Usage | None = None


class ChatEvaluator(HttpEvaluator[ChatConfig]):
    """Asks one model."""

    def __init__(self, config: ChatConfig) -> None:
        super().__init__(config)
        url = str(config.url).rstrip("/")
        self._url = url if url.endswith(PATH) else url + PATH

    @property
    def asks(self) -> str:
        """Address, model, parameters and wording."""
        config = self._config
        return "\0".join(("chat", self._url, config.model, repr(config.temperature), config.response_format, SYSTEM))

    async def judge(self, question: Question) -> Answer:
        """One completion."""
        return read_completion(await self._ask(self._url, self._body(question)))

    def _body(self, question: Question) -> dict[str, Any]:
        config, asked = self._config, messages(question)
        body: dict[str, Any] = {
            "model": config.model,
            "messages": [{"role": "system", "content": asked.system}, {"role": "user", "content": asked.user}],
            config.max_tokens_key: config.max_tokens,
        }
        if config.temperature is not None:
            body["temperature"] = config.temperature
        if config.response_format == "json_schema":
            schema = {"name": "judgment", "strict": True, "schema": SCHEMA}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif config.response_format == "json_object":
            body["response_format"] = {"type": "json_object"}
        return body


def read_completion(body: bytes) -> Answer:
    """The verdict of a completion. Raises `NoVerdict` where there is none."""
    try:
        completion = msgspec.json.decode(body, type=_Completion)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NoVerdict("unreadable", f"its answer is no chat completion: {plain(str(error))}") from None
    usage = completion.usage or _Usage()
    used = (max(usage.prompt_tokens, 0), max(usage.completion_tokens, 0))
    if not completion.choices:
        raise NoVerdict("unreadable", "its answer holds no choice", used)
    choice = completion.choices[0]
    if choice.message.refusal or choice.finish_reason in REFUSING:
        raise NoVerdict("refused", plain(choice.message.refusal or f"finish reason {choice.finish_reason}"), used)
    verdict = read_verdict(choice.message.content or "")
    if verdict is None:
        cut = " (cut off at max_tokens)" if choice.finish_reason == "length" else ""
        shown = plain(choice.message.content or "")
        raise NoVerdict("unreadable", f"its answer is no verdict of the schema{cut}: {shown}", used)
    return Answer(
        passed=verdict.verdict == "pass",
        rationale=verdict.reasons,
        model=(completion.model or "")[:200],
        fingerprint=(completion.system_fingerprint or "")[:200],
        input_tokens=used[0],
        output_tokens=used[1],
    )


def make(config: ChatConfig) -> ChatEvaluator:
    """Called by the table of evaluators."""
    return ChatEvaluator(config)
