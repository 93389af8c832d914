"""Generated messages that are no output events, or hardly: what a topic shared by many teams will carry one day."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

Message = tuple[bytes | None, list[tuple[str, bytes | None]]]


def valid(rng: random.Random) -> dict[str, Any]:
    """A full and valid event."""
    return {
        "id": f"e{rng.randrange(10**9)}",
        "time": rng.choice([1_760_000_000.5, "2025-10-09T08:53:20Z", "2025-10-09T10:53:20+02:00"]),
        "stream": rng.choice(["bot/answer", "суппорт/ответ", "検索"]),
        "model": {"provider": "acme", "name": "m", "version": "1"},
        "input": "Where is my parcel? 📦",
        "output": "It is on its way." * rng.randrange(4),
        "usage": {"input_tokens": rng.randrange(999), "output_tokens": rng.randrange(999)},
        "latency": {"total_s": rng.random()},
        "calls": [{"dependency": "search", "status": 200}],
        "attributes": {"tenant": "a", "n": 3},
    }


def _leaf(rng: random.Random) -> Any:
    return rng.choice(
        [
            None,
            True,
            -1,
            0,
            1.5,
            -1e308,
            10**18,
            2**63,
            "",
            "x",
            "\x00",
            [],
            {},
            [[]],
            {"": None},
            ["a"],
            {"a": {"b": 1}},
        ]
    )


def _encode(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()


def _wrong_value(rng: random.Random) -> Message:
    event = valid(rng)
    for _ in range(rng.randrange(1, 4)):
        event[rng.choice([*event, "error", "steps", "trace", "session", "action", "extra", "cost_usd"])] = _leaf(rng)
    return _encode(event), []


def _wrong_part(rng: random.Random) -> Message:
    event = valid(rng)
    part = rng.choice(["model", "usage", "latency"])
    event[part][rng.choice([*event[part], "novel"])] = _leaf(rng)
    event["calls"][0][rng.choice(["dependency", "status", "duration_s", "novel"])] = _leaf(rng)
    return _encode(event), []


def _left_out(rng: random.Random) -> Message:
    event = valid(rng)
    for name in rng.sample(sorted(event), rng.randrange(1, 5)):
        del event[name]
    return _encode(event), []


def _cut(rng: random.Random) -> Message:
    whole = _encode(valid(rng))
    return whole[: rng.randrange(len(whole))], []


def _flipped(rng: random.Random) -> Message:
    whole = bytearray(_encode(valid(rng)))
    for _ in range(rng.randrange(1, 6)):
        whole[rng.randrange(len(whole))] = rng.randrange(256)
    return bytes(whole), []


def _noise(rng: random.Random) -> Message:
    return rng.randbytes(rng.randrange(200)), []


def _punctuation(rng: random.Random) -> Message:
    return "".join(rng.choices('{}[]":,\\ue0d8Nal-1.5eE+ \n\t', k=rng.randrange(120))).encode(), []


def _other_encoding(rng: random.Random) -> Message:
    text = json.dumps(valid(rng), ensure_ascii=rng.random() < 0.5)
    return text.encode(rng.choice(["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])), []


def _latin(rng: random.Random) -> Message:
    return json.dumps({**valid(rng), "stream": "a", "input": "Größe"}, ensure_ascii=False).encode(
        "cp1252", "replace"
    ), []


def _other_json(rng: random.Random) -> Message:
    return _encode(rng.choice([None, 1, "text", [], [valid(rng)], True, 1e9])), []


def _blank(rng: random.Random) -> Message:
    return rng.choice([None, b"", b" ", b"\n\t ", b"\x00", b"\xef\xbb\xbf"]), []


def _numbers(rng: random.Random) -> Message:
    number = rng.choice(
        ["NaN", "Infinity", "-Infinity", "9" * 30, "9" * 5000, "1e999", "-0", "01", "0x1", "1_000", "+1"]
    )
    place = rng.choice(['"cost_usd": %s', '"usage": {"input_tokens": %s}', '"attributes": {"a": %s}', '"time": %s'])
    return ('{"stream": "a", "output": "say \\"NaN\\"", ' + place % number + "}").encode(), []


def _deep(rng: random.Random) -> Message:
    depth = rng.choice([10, 60, 63, 64, 65, 70, 500, 5_000, 50_000])
    opening, closing = rng.choice([("[", "]"), ('{"a":', "}")])
    name = rng.choice(["steps", "attributes", "action", "novel", "extra"])
    end = "" if rng.random() < 0.2 else closing * depth + "}"
    return f'{{"stream": "a", "output": "b", "{name}": {opening * depth}1{end}'.encode(), []


def _surrogates(rng: random.Random) -> Message:
    text = "".join(
        rng.choices(["\\ud83d", "\\ude00", "\\ud83d\\ude00", "\\\\ud83d", "x", "\\u0000"], k=rng.randrange(1, 6))
    )
    return f'{{"stream": "a", "output": "{text}"}}'.encode(), []


def _huge(rng: random.Random) -> Message:
    return b'{"stream": "a", "output": "' + b"x" * rng.choice([100_000, 300_000]) + b'"}', []


def _time(rng: random.Random) -> Message:
    moments = ["", "yesterday", "2025-13-01T00:00:00Z", "2025-10-09", "10:00", "1760000000", -1e30, 1e15, [], {}, True]
    return _encode({**valid(rng), "time": rng.choice(moments)}), []


def _cloudevent(rng: random.Random) -> Message:
    envelope: dict[str, Any] = {
        "specversion": rng.choice(["1.0", "0.3", 1, None]),
        "id": rng.choice(["c1", 7, ""]),
        "type": "output",
        "source": "/bot",
        "data": rng.choice([valid(rng), json.dumps(valid(rng)), "no json", None, [1]]),
        "datacontenttype": rng.choice(["application/json", "application/avro", 3]),
    }
    if rng.random() < 0.3:
        envelope["data_base64"] = rng.choice(["eyJzdHJlYW0iOiAiYSJ9", "!!!", 5])
        del envelope["data"]
    content_type = rng.choice(
        [b"application/cloudevents+json; charset=utf-8", b"application/cloudevents+avro", b"\xff"]
    )
    return _encode(envelope), [("content-type", content_type)] if rng.random() < 0.7 else []


def _binary_cloudevent(rng: random.Random) -> Message:
    headers: list[tuple[str, bytes | None]] = [
        ("ce_specversion", rng.choice([b"1.0", b"9", b"\xff"])),
        ("ce_id", rng.choice([b"c1", b"\xfe\xff", None])),
        ("ce_time", rng.choice([b"2025-10-09T08:53:20Z", b"noon", b""])),
        ("content-type", rng.choice([b"application/json", b"text/xml", b""])),
    ]
    event = valid(rng)
    del event["id"], event["time"]
    return _encode(event), headers


def _gen_ai(rng: random.Random) -> Message:
    messages = [{"role": "assistant", "parts": [{"type": "text", "content": "hello"}], "finish_reason": "stop"}]
    event: dict[str, Any] = {
        "stream": "a",
        "gen_ai.request.model": rng.choice(["m", 3, None]),
        "gen_ai.output.messages": rng.choice([messages, json.dumps(messages), "[broken", 5, {}, [], [5], [None], [{}]]),
        "gen_ai.response.finish_reasons": rng.choice([["stop"], [], "stop", 5]),
        "gen_ai.usage.input_tokens": rng.choice([1, -1, "1", 1.0]),
        "usage": rng.choice([{}, None, 5]),
    }
    if rng.random() < 0.3:
        event = {"stream": "a", "attributes": event}
    return _encode(event), []


KINDS: tuple[Callable[[random.Random], Message], ...] = (
    _wrong_value, _wrong_part, _left_out, _cut, _flipped, _noise, _punctuation, _other_encoding, _latin, _other_json,
    _blank, _numbers, _deep, _surrogates, _huge, _time, _cloudevent, _binary_cloudevent, _gen_ai,
)  # fmt: skip
_RARE = {_huge, _deep}  # big ones: enough of them to be sure, few enough to be quick


def messages(n: int, seed: int) -> Iterator[Message]:
    """`n` messages of every kind, in a fixed order for a seed."""
    rng = random.Random(seed)
    for _ in range(n):
        kind = rng.choice(KINDS)
        while kind in _RARE and rng.random() > 0.1:
            kind = rng.choice(KINDS)
        yield kind(rng)
