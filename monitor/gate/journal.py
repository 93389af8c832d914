"""What the monitor has not been sent yet: an append-only file that survives the process, sent when the monitor is back.

    {"id": "...", "what": "gate", "key": "email:7:1", "at": 1764000000.0, "body": {...}}
    {"sent": "..."}

An entry is on disk (fsync) before its answer is returned. Several processes share the file: a lock file orders them,
and one at a time sends. An entry that was sent and not yet marked is sent again after a crash; the monitor knows its
key, so that changes nothing. Standard library and msgspec only.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec

from monitor.errors import OqmError

log = logging.getLogger(__name__)

MAX_BYTES = 64 * 2**20  # some 30,000 entries of 2 KB: hours of a busy application, and no full disk
MAX_IN_MEMORY = 10_000  # entries, where there is no folder


class JournalError(OqmError):
    """An entry could not be written; the monitor will not hear of it."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the monitor is still to be sent.

    `what` is `gate` (a question that the client answered by itself), `ran` (the function was run on such an answer),
    `done` or `fail` (the outcome of a claim). `body` is the request's.
    """

    id: str
    what: str
    key: str
    at: float
    body: msgspec.Raw


class _Line(msgspec.Struct):
    id: str | None = None
    what: str = ""
    key: str = ""
    at: float = 0.0
    body: Any = None
    sent: str | None = None


class Journal:
    """Entries in order of writing. `folder` None: in memory only, lost with the process.

    Files: `journal.jsonl`; `journal.refused`, entries that the monitor refuses, with its reason; `journal.unreadable`,
    lines that a crash cut off. Raises `JournalError` where the folder cannot be used.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._memory: list[Entry] = []
        self._sending = threading.Lock()
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # it holds texts of outputs
                self._lock_file("journal.lock").close()
            except OSError as error:
                raise JournalError(f"{folder}: cannot be used for the journal: {error.strerror}") from None

    def append(self, what: str, key: str, at: float, body: bytes) -> None:
        """Add an entry; it is on disk when this returns. Raises `JournalError`."""
        entry = Entry(id=uuid.uuid4().hex, what=what, key=key, at=at, body=msgspec.Raw(body))
        if self._folder is None:
            if len(self._memory) >= MAX_IN_MEMORY:
                raise JournalError(f"the journal in memory is full ({MAX_IN_MEMORY:,} entries): set `cache`")
            self._memory.append(entry)
            return
        try:
            self._write(self._folder / "journal.jsonl", msgspec.json.encode(entry), limit=MAX_BYTES)
        except OSError as error:
            raise JournalError(f"{self._folder}: the journal cannot be written: {error.strerror}") from None

    def waiting(self) -> list[Entry]:
        """The entries that were not sent, in order."""
        if self._folder is None:
            return list(self._memory)
        with self._locked():
            return self._read()[0]

    def is_empty(self) -> bool:
        """Whether certainly nothing waits, without reading."""
        if self._folder is None:
            return not self._memory
        try:
            return (self._folder / "journal.jsonl").stat().st_size == 0
        except FileNotFoundError:
            return True

    def sent(self, entry: Entry) -> None:
        """The monitor has this one."""
        if self._folder is None:
            self._memory.remove(entry)
            return
        self._write(self._folder / "journal.jsonl", msgspec.json.encode({"sent": entry.id}))

    def refused(self, entry: Entry, why: str) -> None:
        """The monitor will not take this one, now or later: it is set aside with the reason, for a person."""
        log.error("the monitor refuses an entry of the journal (%s %s): %s", entry.what, entry.key, why)
        if self._folder is not None:
            self._write(self._folder / "journal.refused", msgspec.json.encode({"why": why, "entry": entry}))
        self.sent(entry)

    @contextmanager
    def sending(self) -> Iterator[bool]:
        """Whether this process may send now: one at a time does, and of its threads each in turn.

        At the end, entries that were sent are removed.
        """
        with self._sending:
            if self._folder is None:
                yield True
                return
            with self._lock_file("journal.sending") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    yield False
                    return
                yield True
                self._compact()

    def forget(self) -> None:
        """After a fork: a thread of the parent that was sending is the parent's."""
        self._sending = threading.Lock()

    def _read(self) -> tuple[list[Entry], list[bytes]]:
        """Entries that were not sent, and lines that cannot be read."""
        assert self._folder is not None
        try:
            content = (self._folder / "journal.jsonl").read_bytes()
        except FileNotFoundError:
            return [], []
        entries: dict[str, Entry] = {}
        unreadable = []
        for line in content.split(b"\n"):
            if not line:
                continue
            try:
                found = msgspec.json.decode(line, type=_Line)
                if found.sent is not None:
                    entries.pop(found.sent, None)
                else:
                    entry = msgspec.json.decode(line, type=Entry)
                    entries[entry.id] = entry
            except msgspec.DecodeError:  # cut off by a crash while it was written
                unreadable.append(line)
        return list(entries.values()), unreadable

    def _compact(self) -> None:
        assert self._folder is not None
        with self._locked():
            entries, unreadable = self._read()
            for line in unreadable:
                log.error("%s: a line was cut off and cannot be read; see journal.unreadable", self._folder)
                self._append(self._folder / "journal.unreadable", line)
            new = self._folder / "journal.new"
            with new.open("wb") as file:
                file.writelines(msgspec.json.encode(entry) + b"\n" for entry in entries)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._folder / "journal.jsonl")
            self._sync_folder()

    def _write(self, path: Path, line: bytes, limit: int | None = None) -> None:
        with self._locked():
            self._append(path, line, limit)

    def _append(self, path: Path, line: bytes, limit: int | None = None) -> None:
        is_new = not path.exists()
        with path.open("ab+") as file:
            size = file.seek(0, os.SEEK_END)
            if limit is not None and size + len(line) > limit:
                raise JournalError(f"{path}: is full ({size:,} bytes): the monitor has not answered for long")
            if size:
                file.seek(size - 1)
                if file.read(1) != b"\n":  # the line before was cut off: this one begins on its own
                    line = b"\n" + line
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            self._sync_folder()

    def _sync_folder(self) -> None:
        """The name of a new file is on disk only once its folder is."""
        assert self._folder is not None
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock_file("journal.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _lock_file(self, name: str) -> IO[bytes]:
        assert self._folder is not None
        return (self._folder / name).open("ab")
