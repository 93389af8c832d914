"""Where the values of a threshold come from: features, flags of checks, single dependencies, attributes of events.

They are read from rows as the log has them, whatever detection itself includes or compresses. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from monitor.config_values.thresholds import Threshold
from monitor.features.batch import FeatureBatch
from monitor.features.families.dependencies import is_keyed
from monitor.features.families.feedback import OF_ATTRIBUTES
from monitor.features.keyed import with_key

ATTRIBUTE = "attributes."
"""Beginning of the name of an attribute of the application, as events and segments have it."""


def limited_values(batch: FeatureBatch, threshold: Threshold) -> NDArray[np.float32]:
    """The values (n) of a threshold's feature in these rows; NaN where an event has none.

    Of a category, 1 where the event has the threshold's value and 0 where it has another. Without a feature, 1 for each
    event.
    """
    name, value = threshold.feature, threshold.value
    if name is None:
        return np.ones(len(batch), dtype=np.float32)
    if name in batch.names:
        column = batch.values[:, batch.names.index(name)]
        return np.where(np.isfinite(column), column, np.float32(np.nan))
    if name in batch.categories:
        return _as_numbers(batch.categories[name], value)
    if name.startswith(ATTRIBUTE):
        return _of_attribute(batch, name, value)
    if is_keyed(name):
        return _as_numbers(batch.dependencies().get(name, [None] * len(batch)), value)
    keyed = batch.keyed or [{}] * len(batch)
    return _as_numbers([each.get(name) for each in keyed], value)


def _of_attribute(batch: FeatureBatch, name: str, value: str | None) -> NDArray[np.float32]:
    """An attribute, which is a number, a flag or a label by its value, and else a part of the traffic."""
    key = name.removeprefix(ATTRIBUTE)
    columns = [with_key(feature, key) for feature in sorted(OF_ATTRIBUTES)]
    found: list[float | str | None] = []
    keyed = batch.keyed or [{}] * len(batch)
    for said, segments in zip(keyed, batch.segments, strict=True):
        known = next((said[column] for column in columns if column in said), None)
        found.append(segments.get(name) if known is None else known)
    return _as_numbers(found, value)


def _as_numbers(column: Iterable[float | str | None], value: str | None) -> NDArray[np.float32]:
    """Numbers as they are; texts as whether they are the value, or missing where no value is asked for."""
    numbers: list[float] = []
    for each in column:
        if isinstance(each, str):
            numbers.append(np.nan if value is None else float(each == value))
        else:
            numbers.append(np.nan if each is None or value is not None else float(each))
    return np.asarray(numbers, dtype=np.float32)
