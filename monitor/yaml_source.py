"""Reads a YAML file into a pydantic model and says for each mistake which line and key to change, all at once.

    monitor.yaml:12 streams[0].alert_budget: must be > 0
    monitor.yaml:15 wroker: unknown key, did you mean `worker`?

`${NAME}` in a string value is replaced from the environment that the caller passes in, so that secrets need not stand
in the file; `$${` stands for a literal `${`. Values never appear in messages: they may be secrets.
May import `monitor.errors` only.
"""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from monitor.errors import ConfigError

M = TypeVar("M", bound=BaseModel)
Location = tuple[int | str, ...]

_REFERENCE = re.compile(r"\$(\$\{|\{([^}]*)\})")
_STRING_TAG = "tag:yaml.org,2002:str"

_WORDS = {
    "greater_than": "must be > {gt}",
    "greater_than_equal": "must be >= {ge}",
    "less_than": "must be < {lt}",
    "less_than_equal": "must be <= {le}",
    "missing": "is required",
    "string_too_short": "must not be empty",
    "model_type": "must be a mapping of settings",
    "dict_type": "must be a mapping",
    "model_attributes_type": "must be a mapping of settings",
    "union_tag_not_found": "must say its {discriminator}",
}
"""Pydantic's error types in the words of an operator; all others keep pydantic's text."""


class _Problem(Exception):
    """One mistake at one place of the document."""

    def __init__(self, line: int, where: str, what: str) -> None:
        super().__init__(what)
        self.line, self.where, self.what = line, where, what


def parse(model: type[M], text: str, *, name: str, environ: Mapping[str, str]) -> M:
    """The model filled from YAML `text`; `name` stands before each line number in messages.

    An empty text gives the model's defaults. Raises `ConfigError` with one line per mistake, in order of lines.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{name}:{line}: not valid YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:  # an unreadable character: has a position, but no mark
        raise ConfigError(f"{name}: not valid YAML: {str(error).splitlines()[0]}") from None
    except (ValueError, OverflowError):  # PyYAML hands an escape such as "\UFFFFFFFF" to chr() as it is
        raise ConfigError(f"{name}: not valid YAML: an escape (\\U...) in a text stands for no character") from None
    if root is None or root.tag == "tag:yaml.org,2002:null":
        return model()
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{name}:{root.start_mark.line + 1}: must be a mapping of settings")

    problems = [*_duplicate_keys(root), *_expand(root, environ)]
    loader = yaml.SafeLoader("")
    try:
        data = loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{name}:{line}: not valid YAML: {error.problem}") from None
    except (ValueError, OverflowError) as error:  # what looks like a date or a number and is none: 2001-99-99
        raise ConfigError(f"{name}: not valid YAML: {error}; put it in quotes if it is a text") from None
    finally:
        loader.dispose()
    # An empty section (`worker:` with everything under it commented out) means its defaults.
    data = {key: value for key, value in data.items() if value is not None}
    result: M | None = None
    try:
        result = model.model_validate(data)
    except ValidationError as error:
        problems += [_translate(model, root, details) for details in error.errors(include_url=False)]
    if problems or result is None:
        ordered = sorted(problems, key=lambda problem: problem.line)
        raise ConfigError("\n".join(f"{name}:{p.line} {p.where}: {p.what}" for p in ordered))
    return result


def _children(node: yaml.Node) -> Iterator[tuple[int | str, yaml.Node, yaml.Node]]:
    """Key (or index), the node to point at, and the value node, of each entry."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield str(key.value), key, value
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield index, value, value


def _walk(node: yaml.Node, path: Location = (), seen: frozenset[int] = frozenset()) -> Iterator[tuple[Location, Any]]:
    """Every node with its path; a node that holds itself (a YAML anchor inside itself) is entered once."""
    yield path, node
    if id(node) not in seen:
        for key, _, value in _children(node):
            yield from _walk(value, (*path, key), seen | {id(node)})


def _dotted(path: Location) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "(top)"


def _duplicate_keys(root: yaml.Node) -> Iterator[_Problem]:
    for path, node in _walk(root):
        if isinstance(node, yaml.MappingNode):
            first: dict[str, int] = {}
            for key, _ in node.value:
                line = key.start_mark.line + 1
                if str(key.value) in first and key.value != "<<":
                    yield _Problem(line, _dotted((*path, key.value)), f"already set in line {first[key.value]}")
                first.setdefault(str(key.value), line)


def _expand(root: yaml.Node, environ: Mapping[str, str]) -> Iterator[_Problem]:
    """Replaces `${NAME}` in the string values under `root`, in place; yields what could not be replaced."""
    done: set[int] = set()
    for path, node in _walk(root):
        if isinstance(node, yaml.ScalarNode) and node.tag == _STRING_TAG and id(node) not in done and "$" in node.value:
            done.add(id(node))
            missing: list[str] = []

            def replace(match: re.Match[str], missing: list[str] = missing) -> str:
                if match[1] == "${":
                    return "${"
                if match[2] not in environ:
                    missing.append(match[2])
                return environ.get(match[2], "")

            node.value = _REFERENCE.sub(replace, node.value)
            for variable in missing:
                what = f"the environment variable {variable} is not set" if variable else "${} names no variable"
                yield _Problem(node.start_mark.line + 1, _dotted(path), what)


def _translate(model: type[BaseModel], root: yaml.Node, details: ErrorDetails) -> _Problem:
    """A pydantic error in an operator's words, at its line; pydantic's own steps in the path (union tags) left out."""
    node, line, path = root, root.start_mark.line + 1, list[int | str]()
    *parents, last = details["loc"] or ("",)
    for part in parents:
        for key, mark, value in _children(node):
            if key == part:
                node, line = value, mark.start_mark.line + 1
                path.append(part)
                break
    for key, mark, _ in _children(node):
        if key == last:
            line = mark.start_mark.line + 1
            path.append(last)
            break
    else:
        if details["type"] == "missing":
            path.append(last)
    return _Problem(line, _dotted(tuple(path)), _explain(model, details))


def _explain(model: type[BaseModel], details: ErrorDetails) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind == "extra_forbidden":
        *parents, unknown = details["loc"]
        known = sorted({key for found in _models_at(model, tuple(parents)) for key in found.model_fields})
        near = difflib.get_close_matches(str(unknown), known, n=1, cutoff=0.6)
        return f"unknown key, did you mean `{near[0]}`?" if near else f"unknown key, known here: {', '.join(known)}"
    if kind == "value_error":
        return str(context["error"])
    if kind in ("literal_error", "enum"):
        return f"must be {context['expected']}"
    if kind == "union_tag_invalid":
        return f"{context['discriminator'].strip(chr(39))} must be one of {context['expected_tags']}"
    if kind in _WORDS:
        return _WORDS[kind].format(**context)
    return details["msg"].replace("Input should be", "must be").replace("Input should", "must")


def _models_at(model: type[BaseModel], path: Location) -> list[type[BaseModel]]:
    """The models that may stand at `path`, union tags included in it."""
    found: list[Any] = [model]
    for part in path:
        following: list[Any] = []
        for annotation in found:
            for kind in _alternatives(annotation):
                if isinstance(kind, type) and issubclass(kind, BaseModel):
                    if isinstance(part, str) and part in kind.model_fields:
                        following.append(kind.model_fields[part].annotation)
                    elif isinstance(part, str) and _has_tag(kind, part):
                        following.append(kind)
                else:  # a container: the key or index leads to its last type argument but the ellipsis
                    arguments = [a for a in get_args(kind) if a is not Ellipsis]
                    following += arguments[-1:]
        found = following
    return [k for a in found for k in _alternatives(a) if isinstance(k, type) and issubclass(k, BaseModel)]


def _alternatives(annotation: Any) -> Iterator[Any]:
    """The members of a union, without `Annotated` around them."""
    if get_origin(annotation) is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from _alternatives(member)
    else:
        yield annotation


def _has_tag(model: type[BaseModel], tag: str) -> bool:
    return any(
        get_origin(field.annotation) is Literal and tag in get_args(field.annotation)
        for field in model.model_fields.values()
    )
