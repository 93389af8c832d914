"""Reads and decodes what a client sends, with a limit of size and of time."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec
from starlette.requests import ClientDisconnect, Request

from monitor.serve.problem import Problem

S = TypeVar("S", bound=msgspec.Struct)

REST_WITHIN_S = 1.0
"""For the rest of a body that is dropped: what an honest client has sent already, or sends at once."""


async def read_body(request: Request, max_bytes: int, timeout_s: float) -> bytes:
    """The whole body. Raises `Problem` 413 or 408, which end the connection: the rest of the body is not read."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise _too_large(max_bytes)
    try:
        async with asyncio.timeout(timeout_s):
            received = bytearray()
            async for chunk in request.stream():
                received += chunk
                if len(received) > max_bytes:
                    raise _too_large(max_bytes)
            return bytes(received)
    except TimeoutError:
        detail = f"The body did not arrive within {timeout_s:g} s."
        raise Problem(408, "slow-body", detail, headers={"Connection": "close"}) from None
    except ClientDisconnect:
        raise Problem(400, "incomplete-body", "The connection ended before the body was complete.") from None


async def rest_has_come(request: Request, max_bytes: int) -> bool:
    """Read and drop a body that nobody wants, as far as it comes at once; whether that was all of it.

    A connection that is closed with bytes unread is reset, and a client that still sends may lose the answer.
    """
    dropped = 0
    try:
        async with asyncio.timeout(REST_WITHIN_S):
            async for chunk in request.stream():
                dropped += len(chunk)
                if dropped > max_bytes:
                    return False
    except (TimeoutError, ClientDisconnect):
        return False
    return True


def decode_body(body: bytes, wanted: type[S], *, optional: bool = False) -> S:
    """The body as this Struct. Raises `Problem` 400 where it is no JSON, 422 where fields do not fit."""
    if optional and not body.strip():
        body = b"{}"
    try:
        return msgspec.json.decode(body, type=wanted)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `")
        raise Problem(422, "invalid-body", _sentence(what), pointer=where.rstrip("`")) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, "not-json", f"The body must be JSON: {error}") from None


def decode_query(raw: bytes, wanted: type[S]) -> S:
    """The query string as this Struct: a name given twice is a list. Raises `Problem` 422."""
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
    except (UnicodeDecodeError, ValueError) as error:
        raise Problem(400, "invalid-query", f"The query cannot be read: {error}") from None
    lists = {name for name, info in _list_fields(wanted).items() if info}
    given: dict[str, Any] = {}
    for name, value in pairs:
        if name in lists:
            given.setdefault(name, []).append(value)
        elif name in given:
            raise Problem(422, "invalid-query", f"{name}: given twice.")
        else:
            given[name] = value
    try:
        return msgspec.convert(given, wanted, strict=False)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `")
        name = where.rstrip("`").removeprefix("$.")
        raise Problem(422, "invalid-query", f"{name}: {what}." if name else f"{what}.") from None


def decode_path(encoded: str) -> str:
    """A part of the path, percent-decoded. Raises `Problem` 400 where it is not UTF-8."""
    try:
        return unquote_to_bytes(encoded).decode("utf-8")
    except UnicodeDecodeError:
        raise Problem(400, "invalid-path", "The path must be UTF-8, percent-encoded.") from None


def _list_fields(wanted: type[msgspec.Struct]) -> dict[str, bool]:
    return {
        field.encode_name: isinstance(field.type, msgspec.inspect.ListType | msgspec.inspect.VarTupleType)
        for field in _fields(wanted)
    }


def _fields(wanted: type[msgspec.Struct]) -> tuple[msgspec.inspect.Field, ...]:
    info = msgspec.inspect.type_info(wanted)
    assert isinstance(info, msgspec.inspect.StructType)
    return info.fields


def _sentence(what: str) -> str:
    return what if what.endswith(".") else f"{what}."


def _too_large(max_bytes: int) -> Problem:
    detail = f"The body is larger than {max_bytes:,} bytes, which is the limit here."
    return Problem(413, "body-too-large", detail, headers={"Connection": "close"})
