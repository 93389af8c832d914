"""What an operator can set: typed models with their defaults and meaning, and how they are read from YAML.

A leaf: importing it loads no detector, no sink and no Kafka client.
"""

from __future__ import annotations

from monitor.settings.broker import Broker, Sasl, Ssl
from monitor.settings.loading import load_settings, read_settings_text
from monitor.settings.models import Alerting, Features, Settings, StreamOverride, StreamSettings, overlay
from monitor.settings.part import Part
from monitor.settings.topics import (
    AlertsTopic,
    DeadLetterTopic,
    FeaturesTopic,
    OutboxTopic,
    OutputsTopic,
    StateTopic,
    Topic,
    Topics,
)
from monitor.settings.worker import DeadLetters, Delivery, Metrics, Worker

__all__ = [
    "Alerting",
    "AlertsTopic",
    "Broker",
    "DeadLetterTopic",
    "DeadLetters",
    "Delivery",
    "Features",
    "FeaturesTopic",
    "Metrics",
    "OutboxTopic",
    "OutputsTopic",
    "Part",
    "Sasl",
    "Settings",
    "Ssl",
    "StateTopic",
    "StreamOverride",
    "StreamSettings",
    "Topic",
    "Topics",
    "Worker",
    "load_settings",
    "overlay",
    "read_settings_text",
]
