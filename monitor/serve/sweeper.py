"""Does what time alone asks for: warns of, expires and marks as unknown what is due, once a second."""

from __future__ import annotations

import logging
import threading
import time

from monitor.actions.states import Change, Due
from monitor.ledger.base import LedgerError
from monitor.serve.context import Services
from monitor.serve.process_counts import ProcessCounts

log = logging.getLogger(__name__)

INTERVAL_S = 1.0
"""How late a warning or an expiry may be."""
FORGET_EVERY_S = 3_600.0
"""How often keys that are past every retry are deleted: they live for weeks, so an hour more is nothing."""
LATE_S = 15.0
"""After how long without a sweep the process is not ready: a database that is restarted is back before."""


class Sweeper:
    """Calls `ledger.due` every second. Safe in several processes: each change is made and reported by one of them."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="oqm-sweeper", daemon=True)
        self._swept_at = time.monotonic()
        self._forgot_at: float | None = None
        self._failing = False

    @property
    def late_s(self) -> float:
        """Seconds since the last sweep that succeeded."""
        return time.monotonic() - self._swept_at

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End after the sweep that is under way."""
        self._stop.set()
        self._thread.join()

    def sweep(self) -> None:
        """One sweep. Raises `LedgerError`."""
        now = self._services.clock()
        for due in self._services.ledger.due(now):
            _report(due)
        if self._forgot_at is None or now - self._forgot_at >= FORGET_EVERY_S:
            if forgotten := self._services.ledger.forget(now):
                log.info("%d actions are past every retry and were forgotten", forgotten)
            self._forgot_at = now

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL_S):
            self._services.part(ProcessCounts).write()
            try:
                self.sweep()
            except LedgerError as error:
                self._services.stats.sweep_failures += 1
                if not self._failing:
                    log.warning("the ledger does not answer, nothing expires meanwhile: %s", error)
                self._failing = True
                continue
            if self._failing:
                log.info("the ledger answers again")
            self._failing = False
            self._swept_at = time.monotonic()


def _report(due: Due) -> None:
    action = due.action
    match due.what:
        case Change.WARNED:
            log.warning("action %s of %s waits for people and will expire", action.key, action.scope)
        case Change.EXPIRED:
            log.warning("action %s of %s has expired: %s", action.key, action.scope, action.on_timeout or "not done")
        case _:
            log.warning(
                "action %s of %s is %s: its claimant did not say how it ended", action.key, action.scope, due.what
            )
