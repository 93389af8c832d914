"""Pydantic's errors in the words of an operator: what must stand there, without a word of the library.

Called by `monitor.settings.yaml_loader` for files, and by the commands that check single options. Values never appear
in a sentence: they may be secrets. May import `monitor.config_values.durations` only.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ValidationError
from pydantic_core import ErrorDetails

from monitor.config_values.durations import format_duration, parse_duration

Location = tuple[int | str, ...]

_URL = "must be a URL such as https://host.example/path"
_MOMENT = "must be a moment with its time zone, such as 2026-11-28T22:00:00Z"
_TIME_OF_DAY = "must be a time of day such as 22:30"
_WHOLE = "must be a whole number"
_NUMBER = "must be a number"
_YES_NO = "must be true or false"
_TEXT = "must be a text; put a number or a date in quotes"
_LIST = "must be a list, such as [a, b]"
_MAPPING = "must be a mapping, such as {{key: value}}"
_SETTINGS = "must be a mapping of settings"

SENTENCES = {
    "greater_than": "must be > {gt}",
    "greater_than_equal": "must be >= {ge}",
    "less_than": "must be < {lt}",
    "less_than_equal": "must be <= {le}",
    "missing": "is required",
    "string_type": _TEXT,
    "string_unicode": "is not UTF-8 text",
    "string_too_short": "must not be empty",
    "string_too_long": "must be at most {max_length} characters long",
    "too_short": "must hold at least {min_length}",
    "too_long": "must hold at most {max_length}, holds {actual_length}",
    "tuple_type": _LIST,
    "list_type": _LIST,
    "dict_type": _MAPPING,
    "invalid_key": "has a key that is no text; put it in quotes",
    "model_type": _SETTINGS,
    "model_attributes_type": _SETTINGS,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing_size": "has too many digits",
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "must be a finite number",
    "bool_type": _YES_NO,
    "bool_parsing": _YES_NO,
    "url_type": _URL,
    "url_parsing": _URL,
    "url_syntax_violation": _URL,
    "url_scheme": "must begin with http:// or https://",
    "url_too_long": "must be at most {max_length} characters long",
    "datetime_type": _MOMENT,
    "datetime_parsing": _MOMENT,
    "datetime_from_date_parsing": _MOMENT,
    "datetime_object_invalid": _MOMENT,
    "date_from_datetime_inexact": _MOMENT,
    "timezone_aware": _MOMENT,
    "timezone_naive": _MOMENT,
    "time_type": _TIME_OF_DAY,
    "time_parsing": _TIME_OF_DAY,
    "union_tag_not_found": "must say its {discriminator}",
}
"""A sentence for each of pydantic's error types; those that need more than their context are in `sentence`."""

FALLBACK_SENTENCE = "is no value that this setting takes"
"""For a type of error that nobody foresaw: better than the library's words."""


class MisplacedError(ValueError):
    """A mistake that a check of a whole section finds; `at` leads from the section to the key to point at."""

    def __init__(self, what: str, *at: int | str) -> None:
        super().__init__(what)
        self.at: Location = at


def sentence(model: type[BaseModel], details: ErrorDetails) -> str:
    """What is wrong and what to change, as the end of a line that begins with file, line and key.

    `model` is the one that was validated, `details` one of its errors.
    """
    kind, context = details["type"], details.get("ctx", {})
    if kind == "extra_forbidden":
        *parents, unknown = details["loc"]
        known = sorted({key for found in models_at(model, tuple(parents)) for key in found.model_fields})
        return f"unknown key{did_you_mean(str(unknown), known, otherwise='known here')}"
    if kind == "value_error":
        return str(context["error"])
    if kind in ("literal_error", "enum"):
        return f"must be {context['expected']}"
    if kind == "union_tag_invalid":
        return f"{context['discriminator'].strip(chr(39))} must be one of {context['expected_tags']}"
    if kind.endswith("_type") and details["input"] is None:
        return "must not be empty: delete the line for the default"
    if kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal") and takes_duration(
        model, details["loc"]
    ):
        context = {name: format_duration(float(limit)) for name, limit in context.items()}
    return SENTENCES.get(kind, FALLBACK_SENTENCE).format(**context)


def first_sentence(model: type[BaseModel], error: ValidationError) -> str:
    """The first mistake in one line, key and sentence: `floors.flag: must be <= 1.0`; for options and overrides."""
    details = error.errors(include_url=False)[0]
    wrong = details.get("ctx", {}).get("error")
    path = (*details["loc"], *(wrong.at if isinstance(wrong, MisplacedError) else ()))
    where = dotted(path)
    return f"{where}: {sentence(model, details)}" if where else sentence(model, details)


def did_you_mean(word: str, known: Iterable[str], *, otherwise: str = "known are") -> str:
    """`, did you mean X?` for the nearest of `known`, or all of them where none is near."""
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f", did you mean `{near[0]}`?"
    return f", {otherwise}: {', '.join(known)}" if known else ""


def dotted(path: Location) -> str:
    """`streams[0].warmup`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def takes_duration(model: type[BaseModel], path: Location) -> bool:
    """Whether the field at `path` is a span of time that may be written with a unit."""
    if not path:
        return False
    *parents, last = path
    fields = [found.model_fields[last] for found in models_at(model, tuple(parents)) if last in found.model_fields]
    return any(
        isinstance(extra, BeforeValidator) and extra.func is parse_duration
        for field in fields
        for extra in (*field.metadata, *_extras(field.annotation))
    )


def takes_number(model: type[BaseModel], path: Location) -> bool:
    """Whether the field at `path` is a plain number, of which `true` is none."""
    if not path:
        return False
    *parents, last = path
    annotations = [
        found.model_fields[last].annotation for found in models_at(model, tuple(parents)) if last in found.model_fields
    ]
    kinds = {kind for annotation in annotations for kind in alternatives(annotation)} - {type(None)}
    return bool(kinds) and kinds <= {int, float}


def models_at(model: type[BaseModel], path: Location) -> list[type[BaseModel]]:
    """The models that may stand at `path`, union tags included in it or not."""
    found: list[Any] = [model]
    for part in path:
        following: list[Any] = []
        for annotation in found:
            for kind in alternatives(annotation):
                if isinstance(kind, type) and issubclass(kind, BaseModel):
                    if isinstance(part, str) and part in kind.model_fields:
                        following.append(kind.model_fields[part].annotation)
                    elif isinstance(part, str) and _has_tag(kind, part):
                        following.append(kind)
                else:  # a container: the key or index leads to its last type argument but the ellipsis
                    arguments = [a for a in get_args(kind) if a is not Ellipsis]
                    following += arguments[-1:]
        found = following
    return [k for a in found for k in alternatives(a) if isinstance(k, type) and issubclass(k, BaseModel)]


def alternatives(annotation: Any) -> Iterator[Any]:
    """The members of a union, without `Annotated` around them."""
    if get_origin(annotation) is Annotated:
        yield from alternatives(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from alternatives(member)
    else:
        yield annotation


def _extras(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Annotated:
        yield from get_args(annotation)[1:]
    elif get_origin(annotation) in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from _extras(member)


def _has_tag(model: type[BaseModel], tag: str) -> bool:
    """Whether a union's tag chooses this model: by a field that holds it, or by the name of the class."""
    return model.__name__ == tag or any(
        get_origin(field.annotation) is Literal and tag in get_args(field.annotation)
        for field in model.model_fields.values()
    )
