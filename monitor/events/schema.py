"""`OutputEvent`: the record of one model output, as applications publish it.

Only `stream` and `output` are required (`output` may be null only together with `error`). Everything unknown is kept
in `extra`. Pure data: no I/O, no clock. May import nothing from this project.

The limits in the annotations are checked where events are decoded (`monitor.events.decode`) and are part of the
exported JSON Schema, as are the descriptions of the fields; building an event in Python does not check limits.
`forbid_unknown_fields` is for the readers alone: it shows cheaply that a message needs the second look in which unknown
fields are kept.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

MAX_STREAM_NAME = 256  # characters: a name is a key in every topic and table, and stands in each alert
MAX_ID = 512  # characters: room for a URL or two joined UUIDs; ids are kept for each example

MAX_CAUSES = 100  # of one event: a summary of a hundred outputs names them all; each is a row of the trace store

# Finish reason of a streamed output whose reader went away. It is a part of an output, so its text is not measured; the
# call is, and how many readers leave shows in the shares of the finish reasons.
ABANDONED = "abandoned"

# A stream's name becomes a metric label and a line in an alert, so: visible, one line, bounded.
StreamName: TypeAlias = Annotated[
    str,
    Meta(min_length=1, max_length=MAX_STREAM_NAME, pattern=r"^(?=[\s\S]*\S)(?![\s\S]*[\x00-\x1f\x7f])"),
]
EventId: TypeAlias = Annotated[str, Meta(max_length=MAX_ID)]
Cause: TypeAlias = Annotated[str, Meta(min_length=1, max_length=MAX_ID)]
# 2^53: the largest range of integers that every JSON reader keeps exact.
Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**53)]
NonNegative: TypeAlias = Annotated[float, Meta(ge=0)]


class Model(msgspec.Struct, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """Which model answered. `fingerprint` is the provider's own build mark (OpenAI: `system_fingerprint`)."""

    provider: Annotated[str | None, Meta(description="Who runs the model, such as `openai`.")] = None
    name: Annotated[str | None, Meta(description="The model's name, such as `gpt-4o`.")] = None
    version: Annotated[str | None, Meta(description="Its version, where the provider states one.")] = None
    fingerprint: Annotated[
        str | None, Meta(description="The provider's own mark of a build (OpenAI: `system_fingerprint`).")
    ] = None


class Prompt(msgspec.Struct, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """The prompt template in use; `hash` identifies its text where the text itself is not sent."""

    name: Annotated[str | None, Meta(description="Name of the prompt template.")] = None
    version: Annotated[str | None, Meta(description="Version of the template.")] = None
    hash: Annotated[str | None, Meta(description="Hash of the template's text, where the text is not sent.")] = None
    text: Annotated[str | None, Meta(description="The prompt that was sent, or its template.")] = None


class Usage(msgspec.Struct, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """Token counts as the provider billed them; `context_limit` is the model's window in tokens.

    `reasoning_tokens` are those of the output tokens that the model spent on reasoning.
    """

    input_tokens: Annotated[Count | None, Meta(description="Tokens of the input, as billed.")] = None
    output_tokens: Annotated[Count | None, Meta(description="Tokens of the output, as billed.")] = None
    context_limit: Annotated[Count | None, Meta(description="The model's context window, in tokens.")] = None
    reasoning_tokens: Annotated[
        Count | None, Meta(description="Those of the output tokens that the model spent on reasoning.")
    ] = None


class Latency(msgspec.Struct, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """Seconds from request to last byte, and to the first token; `queue_s` is how long the request waited to begin."""

    total_s: Annotated[
        NonNegative | None, Meta(description="Seconds from the request to the last byte of the output.")
    ] = None
    first_token_s: Annotated[NonNegative | None, Meta(description="Seconds from the request to the first token.")] = (
        None
    )
    queue_s: Annotated[NonNegative | None, Meta(description="Seconds that the request waited before it began.")] = None


class Call(msgspec.Struct, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """One call to an external dependency (tool, retriever, API) made while answering.

    `status` is the dependency's own word or HTTP code; `shape` a hash of the response's structure, so that a third
    party that changes its format is seen.
    """

    dependency: Annotated[str, Meta(description="Name of what was called: a tool, a retriever, an API.")]
    operation: Annotated[str | None, Meta(description="What was asked of it.")] = None
    status: Annotated[
        str | int | None, Meta(description="Its own word for how the call ended, or the HTTP status code.")
    ] = None
    duration_s: Annotated[NonNegative | None, Meta(description="Seconds that the call took.")] = None
    error: Annotated[str | None, Meta(description="The error's text; present where the call failed.")] = None
    shape: Annotated[
        str | None, Meta(description="Hash of the structure of its response, so that a change of format is seen.")
    ] = None
    time: Annotated[
        str | int | float | None,
        Meta(description="When the call began: seconds since 1970, or RFC 3339, as sent."),
    ] = None
    response: Annotated[
        Any, Meta(description="What it returned, as far as it may be kept; the trace store has 4,000 characters of it.")
    ] = None


class Session(msgspec.Struct, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """Conversation and the position of this output in it, counted from 1."""

    id: Annotated[str | None, Meta(description="Identifier of the conversation.")] = None
    turn: Annotated[Count | None, Meta(description="Position of this output in the conversation, counted from 1.")] = (
        None
    )


class Trace(msgspec.Struct, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """W3C trace context identifiers, hexadecimal."""

    trace_id: Annotated[str | None, Meta(description="W3C trace id, 32 hexadecimal digits.")] = None
    span_id: Annotated[str | None, Meta(description="W3C span id, 16 hexadecimal digits.")] = None
    parent_id: Annotated[str | None, Meta(description="Span id of the caller.")] = None


class OutputEvent(msgspec.Struct, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """One output of an AI system, with what is known of how it came about.

    `time` is seconds since 1970 (readers accept RFC 3339 too and convert). `attributes` are free key/value pairs that
    findings may name as the segment that changed (tenant, locale, experiment arm, ...). `reasoning` is what the model
    thought before its answer, where the provider returns it beside `output`. `fallback` says whether another model or a
    fixed answer stood in for the one that was asked. `causes` names what the output was made from, where that was
    another output or the result of an action: `oqm cascade` follows it, as it follows `trace.parent_id`.
    """

    stream: Annotated[
        StreamName, Meta(description="Name of the stream that the output belongs to: one use case of one service.")
    ]
    output: Annotated[
        str | None, Meta(description="The output's text; null only together with `error` or with tool calls.")
    ]
    id: Annotated[
        EventId | None,
        Meta(
            description="Unique id of the event; without one: topic, partition and offset (of a file: file and line)."
        ),
    ] = None
    time: Annotated[
        float | None,
        Meta(description="When the output was made; without one, Kafka's time of the message."),
    ] = None
    input: Annotated[str | None, Meta(description="What the user or the application asked.")] = None
    error: Annotated[str | None, Meta(description="The error's text, where there is no output.")] = None
    model: Annotated[Model, Meta(description="Which model answered.")] = msgspec.field(default_factory=Model)
    prompt: Annotated[Prompt, Meta(description="Which prompt was in use.")] = msgspec.field(default_factory=Prompt)
    finish_reason: Annotated[
        str | None,
        Meta(description="Why the model stopped, in the provider's word: `stop`, `length`, `tool_calls`, ..."),
    ] = None
    usage: Annotated[Usage, Meta(description="Token counts.")] = msgspec.field(default_factory=Usage)
    cost_usd: Annotated[NonNegative | None, Meta(description="What the call cost, in US dollars.")] = None
    latency: Annotated[Latency, Meta(description="Times of the call.")] = msgspec.field(default_factory=Latency)
    steps: Annotated[list[Any], Meta(description="Steps of an agent or chain, in order; any JSON.")] = msgspec.field(
        default_factory=list
    )
    calls: Annotated[list[Call], Meta(description="Calls to dependencies that were made for this output.")] = (
        msgspec.field(default_factory=list)
    )
    session: Annotated[Session, Meta(description="The conversation that the output belongs to.")] = msgspec.field(
        default_factory=Session
    )
    trace: Annotated[Trace, Meta(description="Identifiers that join the event with a distributed trace.")] = (
        msgspec.field(default_factory=Trace)
    )
    action: Annotated[
        dict[str, Any] | None,
        Meta(description="What the application does because of the output: `kind`, tool, arguments; any object."),
    ] = None
    reasoning: Annotated[
        str | None,
        Meta(description="What the model thought before its answer, where the provider returns it separately."),
    ] = None
    fallback: Annotated[
        bool | None, Meta(description="Whether another model or a fixed answer stood in for the one that was asked.")
    ] = None
    causes: Annotated[
        list[Cause],
        Meta(
            max_length=MAX_CAUSES,
            description="What the output follows from: ids of other events, or keys of actions whose results it used.",
        ),
    ] = msgspec.field(default_factory=list)
    attributes: Annotated[
        dict[str, Any],
        Meta(description="Keys and values that the application adds (tenant, locale, ...); segments are made of them."),
    ] = msgspec.field(default_factory=dict)
    extra: Annotated[dict[str, Any], Meta(description="Unknown fields, as they came.")] = msgspec.field(
        default_factory=dict
    )


def as_published(event: OutputEvent) -> dict[str, Any]:
    """The event's fields as an application would publish them: unknown ones beside the known ones."""
    fields: dict[str, Any] = msgspec.to_builtins(event)
    return {**fields.pop("extra", {}), **fields}
