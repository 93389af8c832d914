"""Publishing output events from an application: never in its way, nothing lost without being counted."""

from __future__ import annotations

from monitor.publisher.client import OutputPublisher, Undelivered
from monitor.publisher.recording import Recording, current_recording
from monitor.publisher.shape import response_shape

__all__ = ["OutputPublisher", "Recording", "Undelivered", "current_recording", "response_shape"]
