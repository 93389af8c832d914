"""The one feature that detection measures itself: how far an output lies from what its stream said at first."""

from __future__ import annotations

from monitor.features.base import FeatureSpec, Kind, Role

DISTANCE = FeatureSpec(
    "output.embedding.distance",
    Kind.NUMBER,
    "cosine distance of the output's embedding to the centre of the stream's first outputs",
    role=Role.MEANING,
)
