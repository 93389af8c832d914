"""`Cooldown`: how long evidence that gave no reason to page is not examined again.

Used by `monitor.detection.stream.reference_monitor` for its two views, and by the comparison of versions. Pure.
"""

from __future__ import annotations

import msgspec

FIRST_PAUSE_ROWS = 200
"""Rows of the first pause: the size of a provisional reference. Evidence that crossed over a change below the effect
floor crosses again within a few rows, and would repeat the same information with each of them."""
LONGEST_PAUSE_ROWS = 12_800
"""Rows of the longest pause, six doublings: a stream that stays slightly off is reported a few times, then once in
about the shortest mean run length that a budget may ask for (10,000)."""


class Cooldown(msgspec.Struct):
    """A pause counted in rows, which doubles each time that information follows information.

    Attributes
    ----------
    until
        Row before which nothing is examined.
    wait
        Rows of the next pause.
    """

    until: int = 0
    wait: int = FIRST_PAUSE_ROWS

    def postpone(self, row: int) -> None:
        """Examine again from this row on; the next pause is as long as before."""
        self.until = row

    def back_off(self, row: int) -> bool:
        """Pause from this row on, and double the next pause; whether this is the first pause since a reset."""
        first = self.wait <= FIRST_PAUSE_ROWS
        self.until = row + self.wait
        self.wait = min(2 * self.wait, LONGEST_PAUSE_ROWS)
        return first

    def reset(self) -> None:
        """Something was reported that fires, or has ended: examine from the next row on."""
        self.until, self.wait = 0, FIRST_PAUSE_ROWS
