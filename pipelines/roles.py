"""The agents of a worker, as `oqm worker --roles` names them."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """One agent: its stage, and the topic that it reads.

    `store` runs where the settings have a trace store, `judge` where a criterion has an evaluator.
    """

    FEATURIZE = "featurize"
    DETECT = "detect"
    NOTIFY = "notify"
    STORE = "store"
    JUDGE = "judge"
