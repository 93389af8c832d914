"""What Prometheus scrapes from a worker: declared metrics, the collector over streams, and its HTTP server."""
