"""What the pipeline keeps in Kafka: checkpoints, stream status, alerts."""
