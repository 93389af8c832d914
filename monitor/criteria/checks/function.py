"""`function`: a Python function of the user's own decides."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field

from monitor.config_values.checked_text import matching
from monitor.criteria.base import Check, Compiled, Outputs, Verdict

FunctionName = Annotated[
    str,
    matching(r"[A-Za-z_][\w]*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", "package.module:function, such as ours.checks:polite"),
]


class FunctionCheck(Check):
    """`function(event)` gets the `OutputEvent` and returns True where the output passes, False where it fails, None
    where it cannot tell. It runs in the worker for every output: it must be quick, and touch no network. Where it
    raises, the output counts as undecided and the failure is counted."""

    key: ClassVar[str] = "function"
    example: ClassVar[str] = "{function: 'monitor.criteria.examples:ends_politely'}"

    function: FunctionName = Field(description="package.module:function, from where the worker's Python finds it")

    def compiled(self) -> Compiled:
        """The check made ready."""
        passes = _imported(self.function)

        def verdicts(outputs: Outputs, rows: Sequence[int]) -> list[Verdict]:
            found: list[Verdict] = []
            for row in rows:
                passed = passes(outputs.events[row])
                if passed is not None and not isinstance(passed, bool):
                    raise TypeError(f"{self.function} returned {type(passed).__name__}, not True, False or None")
                found.append(None if passed is None else not passed)
            return found

        return verdicts

    def violation(self) -> str:
        """What an output that fails does."""
        return f"fails {self.function}"


def _imported(name: str) -> Callable[[Any], object]:
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError as error:
        raise ValueError(f"function: {module} cannot be imported: {error}") from None
    if not callable(found):
        raise ValueError(f"function: {module} has no function {attribute}")
    return found  # type: ignore[no-any-return]
