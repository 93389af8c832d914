"""What is wrong with settings that are well formed."""

from __future__ import annotations

from typing import NamedTuple

from monitor.config_values.plain_errors import Location


class Problem(NamedTuple):
    """What cannot work, at which key; `error`: a worker refuses to start with it, else it is a warning."""

    at: Location
    what: str
    error: bool = True
