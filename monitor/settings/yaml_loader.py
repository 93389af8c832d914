"""Reads a YAML file into a pydantic model and says for each mistake which line and key to change, all at once.

    monitor.yaml:12 streams[0].alert_budget: must be > 0
    monitor.yaml:15 wroker: unknown key, did you mean `worker`?

`${NAME}` in a string value is replaced from the environment that the caller passes in, so that secrets need not stand
in the file; `$${` stands for a literal `${`. Values never appear in messages: they may be secrets.
May import `monitor.errors` and `monitor.config_values.plain_errors`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from monitor.config_values.plain_errors import Location, MisplacedError, dotted, sentence, takes_duration, takes_number
from monitor.errors import ConfigError

M = TypeVar("M", bound=BaseModel)

_REFERENCE = re.compile(r"\$(\$\{|\{([^}]*)\})")
_STRING_TAG = "tag:yaml.org,2002:str"
_BOOL_TAG = "tag:yaml.org,2002:bool"
_NUMBER_TAGS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_BARE_NUMBER = re.compile(r"\s*\d+(?:\.\d+)?\s*", re.ASCII)


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

    problems = [*_duplicate_keys(root), *_expand(root, environ), *_bools_for_numbers(model, root)]
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


def _duplicate_keys(root: yaml.Node) -> Iterator[_Problem]:
    for path, node in _walk(root):
        if isinstance(node, yaml.MappingNode):
            first: dict[str, int] = {}
            for key, _ in node.value:
                line = key.start_mark.line + 1
                if str(key.value) in first and key.value != "<<":
                    yield _Problem(line, _where((*path, key.value)), f"already set in line {first[key.value]}")
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
                yield _Problem(node.start_mark.line + 1, _where(path), what)


def _where(path: Location) -> str:
    return dotted(path) or "(top)"


def _bools_for_numbers(model: type[BaseModel], root: yaml.Node) -> Iterator[_Problem]:
    """`true`, `yes` and `off` where a number belongs: pydantic would take them for 1 and 0."""
    for path, node in _walk(root):
        if isinstance(node, yaml.ScalarNode) and node.tag == _BOOL_TAG and takes_number(model, path):
            yield _Problem(node.start_mark.line + 1, _where(path), "must be a number")


def durations_without_unit(model: type[BaseModel], text: str) -> Iterator[tuple[Location, str]]:
    """Each duration of a valid document that is a bare number: where it stands, and the number. Zero needs no unit."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    for path, node in _walk(root) if root is not None else ():
        if isinstance(node, yaml.ScalarNode) and node.tag in (*_NUMBER_TAGS, _STRING_TAG):
            bare = _BARE_NUMBER.fullmatch(node.value) and float(node.value) != 0
            if bare and takes_duration(model, path):
                yield path, node.value.strip()


def lines_of(text: str) -> Callable[[Location], int]:
    """A function that gives the line of a key in a valid document; the nearest section's where the key is absent."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)

    def line(path: Location) -> int:
        return _find(root, path)[0] if root is not None else 1

    return line


def _find(root: yaml.Node, path: Location) -> tuple[int, list[int | str]]:
    """The line of the key at `path`, and as much of `path` as is in the document; union tags in it are left out."""
    node, line, found = root, root.start_mark.line + 1, list[int | str]()
    for part in path:
        for key, mark, value in _children(node):
            if key == part:
                node, line = value, mark.start_mark.line + 1
                found.append(part)
                break
    return line, found


def _translate(model: type[BaseModel], root: yaml.Node, details: ErrorDetails) -> _Problem:
    """A pydantic error in an operator's words, at its line."""
    location, wrong = details["loc"], details.get("ctx", {}).get("error")
    if isinstance(wrong, MisplacedError):
        location = (*location, *wrong.at)
    if location and location[-1] == "[key]":
        location = location[:-1]
    line, found = _find(root, location)
    if location and location[-1] not in found[-1:]:
        from_file = f"{location[-1]}_file"
        line_of_file, with_file = _find(root, (*location[:-1], from_file))
        if with_file[-1:] == [from_file]:  # the value came from there
            line, found = line_of_file, with_file
        elif details["type"] == "missing":
            found.append(location[-1])
    return _Problem(line, _where(tuple(found)), sentence(model, details))
