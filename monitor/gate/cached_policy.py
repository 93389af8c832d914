"""The policy as the monitor last gave it: in memory, and in a file that a later process begins with."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec

from monitor.actions.policy import Policy

log = logging.getLogger(__name__)


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    etag: str
    policy: Policy


class CachedPolicy:
    """A policy with its ETag; None before the monitor was first reached.

    A file that cannot be read counts as none: then the client holds, until the monitor gives it the policy again.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / "policy.json"
        self._kept: _Kept | None = None
        if self._path is not None and self._path.exists():
            try:
                self._kept = msgspec.json.decode(self._path.read_bytes(), type=_Kept)
            except (OSError, msgspec.DecodeError) as error:
                log.warning("%s: the cached policy cannot be read: %s", self._path, error)

    @property
    def policy(self) -> Policy | None:
        """The policy, of whatever age: the monitor is asked for it again and again."""
        return None if self._kept is None else self._kept.policy

    @property
    def etag(self) -> str:
        """What the monitor is asked with; empty: none."""
        return "" if self._kept is None else self._kept.etag

    def keep(self, policy: Policy, etag: str) -> None:
        """A new policy. Where its file cannot be written it is kept in memory, and that is logged."""
        self._kept = _Kept(etag=etag, policy=policy)
        if self._path is None:
            return
        new = self._path.with_suffix(f".{os.getpid()}")  # several processes may share the folder
        try:
            new.write_bytes(msgspec.json.encode(self._kept))
            new.replace(self._path)
        except OSError as error:
            log.warning("%s: the policy cannot be written: %s", self._path, error.strerror)
