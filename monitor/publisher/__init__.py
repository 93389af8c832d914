"""Publishing output events from an application: never in its way, nothing lost without being counted."""

from __future__ import annotations

from monitor.publisher.client import OutputPublisher
from monitor.publisher.recording import Recording, current_recording
from monitor.publisher.shape import response_shape
from monitor.publisher.undelivered import Undelivered

__all__ = ["OutputPublisher", "Recording", "Undelivered", "current_recording", "response_shape"]
