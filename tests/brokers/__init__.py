"""A real Apache Kafka for tests and benchmarks; not in the wheel."""
