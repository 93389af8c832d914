"""What people say of the outputs of a window, from the ledger, for commands that estimate quality."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitor.judgment.calibration import LabelKey, Labels
    from monitor.settings import Settings
    from monitor.store.quality import Window


def people_labels(settings: Settings, store: str | None, window: Window) -> dict[LabelKey, Labels]:
    """The labels; none where the settings name no ledger and the trace store has none beside it.

    Raises `LedgerError` where there is one, and it cannot be read.
    """
    from monitor.ledger.base import NoLedger
    from monitor.ledger.labels import labels
    from monitor.ledger.open import open_ledger

    try:
        ledger = open_ledger(settings.serve.database or store or settings.store.location, read_only=True)
    except NoLedger:
        if settings.serve.database:
            raise
        return {}
    try:
        since, until = window.period
        return labels(
            ledger, since, until, stream=window.stream, criterion=window.criterion, where=window.where, by=window.by
        )
    finally:
        ledger.close()
