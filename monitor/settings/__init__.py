"""What an operator can set: typed models with their defaults and meaning, and how they are read from YAML.

A leaf: importing it loads no detector, no sink and no Kafka client.
"""

from __future__ import annotations

from monitor.settings.models import (
    Alerting,
    AlertsTopic,
    Broker,
    DeadLetters,
    DeadLetterTopic,
    Delivery,
    Features,
    FeaturesTopic,
    Metrics,
    OutboxTopic,
    OutputsTopic,
    Part,
    Sasl,
    Settings,
    Ssl,
    StateTopic,
    StreamOverride,
    StreamSettings,
    Topic,
    Topics,
    Worker,
    load_settings,
    overlay,
    read_settings_text,
)

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
