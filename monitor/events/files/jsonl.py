"""Rows of JSON-lines files."""

from __future__ import annotations

import io
from pathlib import Path

from monitor.errors import InvalidEvent
from monitor.events.decode import MAX_BYTES
from monitor.events.files.csv import DAMAGED
from monitor.events.files.notes import FileNotes
from monitor.events.files.rows import Row, Rows
from monitor.events.json_object import parse_json, without_non_finite
from monitor.events.reasons import Reason


def read_jsonl(path: Path, file: io.BufferedReader, notes: FileNotes) -> Rows:
    """The rows of an opened file, which is closed at its end; a line that is no object comes as `InvalidEvent`."""
    with file:
        line = 0
        while True:
            try:
                text = file.readline(MAX_BYTES + 1)
                if not text:
                    return
                line += 1
                if len(text) > MAX_BYTES:
                    while not text.endswith(b"\n") and (text := file.readline(1 << 20)):
                        pass
                    yield line, InvalidEvent(Reason.TOO_LARGE, f"the line has more than {MAX_BYTES:,} bytes")
                    continue
            except DAMAGED as error:
                yield line + 1, InvalidEvent(Reason.UNREADABLE, f"the file is damaged from here on ({error})")
                return
            if line == 1 and text.lstrip()[:1] == b"[" and ".json" in path.suffixes:
                yield (
                    1,
                    InvalidEvent(
                        Reason.NOT_OBJECT, "the file is one JSON array; write one object a line (jq -c '.[]' does it)"
                    ),
                )
                return
            if not text.strip():
                continue
            try:
                yield line, _parse_line(text, path.name, notes)
            except InvalidEvent as invalid:
                yield line, invalid


def _parse_line(text: bytes, file: str, notes: FileNotes) -> Row:
    try:
        return parse_json(text)[0]
    except InvalidEvent as invalid:
        if invalid.reason != Reason.NON_FINITE:
            raise
    row = parse_json(without_non_finite(text)[0])[0]
    notes.add(file, "NaN and Infinity are read as missing", 1)
    return row
