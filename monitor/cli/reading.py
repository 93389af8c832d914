"""From files to feature batches, as `oqm features` and `oqm replay` read them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from monitor.errors import InvalidEvent
from monitor.events.files import read_events
from monitor.events.schema import OutputEvent
from monitor.features import Featurizer, default_extractors

if TYPE_CHECKING:
    from monitor.features.batch import FeatureBatch
    from monitor.settings import Settings
