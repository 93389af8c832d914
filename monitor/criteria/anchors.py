"""Anchors: outputs that people have labelled by a criterion, judged again and again to watch the evaluator.

They stand in a file that the criterion names (`anchors: FILE`), JSON lines or CSV, so they are versioned with the
settings and every worker reads the same ones. A record has `output` and `passed`, and may have `input`, `prompt` and
`event` (the id of the output that it was). Reads and writes files; otherwise pure.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from monitor.errors import ConfigError

MAX_FILE_BYTES = 64 * 2**20
"""Hundred times what a thousand long outputs take: what is larger is another file, given by mistake."""
MAX_ANCHORS = 2_000
"""At 30 a day a round of more takes longer than two months, and evidence comes too late to be of use."""
ID_BYTES = 8
"""64 bits: two of a few hundred anchors share one by chance once in 10^14."""
_YES = frozenset({"true", "1", "yes", "y", "pass", "passed", "good"})
_NO = frozenset({"false", "0", "no", "n", "fail", "failed", "bad"})


class Anchor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One labelled output.

    Attributes
    ----------
    output, input, prompt
        The texts as an evaluator gets them.
    passed
        What people say: whether it passes the criterion.
    event
        Id of the output's event, where it came from one.
    """

    output: str
    passed: bool
    input: str | None = None
    prompt: str | None = None
    event: str | None = None

    @property
    def id(self) -> str:
        """16 hexadecimal digits of the texts: an anchor whose text was edited is another one, with its own baseline."""
        said = "".join(
            "-" if part is None else f"{len(part)}:{part}" for part in (self.output, self.input, self.prompt)
        )
        return hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=ID_BYTES).hexdigest()


def read_anchors(path: str | Path) -> dict[str, Anchor]:
    """The anchors in a file by id, in its order. Raises `ConfigError` with the line of what is none."""
    path = Path(path)
    found: dict[str, Anchor] = {}
    for line, record in _records(path):
        anchor = _anchor(record, f"{path}:{line}")
        known = found.setdefault(anchor.id, anchor)
        if known.passed != anchor.passed:
            raise ConfigError(f"{path}:{line}: the same output stands above with the other label")
    if len(found) > MAX_ANCHORS:
        raise ConfigError(f"{path}: holds {len(found):,} anchors; at most {MAX_ANCHORS:,} can be judged in turn")
    return found


def append_anchors(path: str | Path, anchors: Iterable[Anchor]) -> int:
    """Add the anchors that the file, which may not be there yet, does not hold; how many. As JSON lines.

    Raises `ConfigError` where the file cannot be read or written, is CSV, or holds one with the other label.
    """
    path = Path(path)
    if path.suffix.lower() == ".csv":
        raise ConfigError(f"{path}: is CSV; name a .jsonl file under `anchors` to add to it, or add rows by hand")
    known = read_anchors(path) if path.exists() else {}
    new: dict[str, Anchor] = {}
    for anchor in anchors:
        if (other := known.get(anchor.id) or new.get(anchor.id)) is None:
            new[anchor.id] = anchor
        elif other.passed != anchor.passed:
            raise ConfigError(f"{path}: holds {anchor.id} with the other label; correct the file first")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            for anchor in new.values():
                file.write(json.dumps(msgspec.to_builtins(anchor), ensure_ascii=True) + "\n")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
    return len(new)


def _records(path: Path) -> Iterable[tuple[int, Mapping[str, Any]]]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(f"{path}: is larger than {MAX_FILE_BYTES // 2**20} MiB")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; oqm anchors add makes it") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text") from None
    if path.suffix.lower() == ".csv":
        reader = csv.DictReader(text.splitlines(keepends=True))
        try:
            for row in reader:
                yield reader.line_num, {key: value for key, value in row.items() if key and value not in (None, "")}
        except csv.Error as error:
            raise ConfigError(f"{path}:{reader.line_num}: not valid CSV: {error}") from None
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise ConfigError(f"{path}:{number}: not valid JSON: {error.msg}") from None
        if not isinstance(record, dict):
            raise ConfigError(f"{path}:{number}: is no JSON object with `output` and `passed`")
        yield number, record


def _anchor(record: Mapping[str, Any], where: str) -> Anchor:
    texts = {name: record.get(name) for name in ("output", "input", "prompt", "event")}
    for name, value in texts.items():
        if value is not None and not isinstance(value, str):
            raise ConfigError(f"{where}: `{name}` must be a text")
    if not texts["output"]:
        raise ConfigError(f"{where}: has no `output`")
    return Anchor(**{**texts, "passed": label(record.get("passed"), where)})  # type: ignore[arg-type]


def label(said: object, where: str) -> bool:
    """A label as people write it. Raises `ConfigError`, beginning with `where`, for what is none."""
    word = str(said).strip().lower()
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise ConfigError(f"{where}: `passed` must be true or false")
