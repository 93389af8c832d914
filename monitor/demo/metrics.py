"""What the demo reads off the worker's /metrics, as Prometheus would."""

from __future__ import annotations
