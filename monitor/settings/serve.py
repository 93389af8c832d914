"""The section `serve`: where the HTTP service listens, which database holds its ledger, and what a client may cost."""

from __future__ import annotations

from pydantic import Field, model_validator

from monitor.config_values.durations import Duration
from monitor.config_values.plain_errors import MisplacedError
from monitor.settings.part import Part


class ServeLimits(Part):
    """What one client may cost the service."""

    body_bytes: int = Field(1_048_576, ge=1_024, description="largest body of a request, in bytes; larger: 413")
    body_timeout: Duration = Field(
        10.0, gt=0, validate_default=True, description="how long a body may take to arrive; slower: 408"
    )
    header_timeout: Duration = Field(
        10.0, gt=0, validate_default=True, description="how long the head of a request may take to arrive"
    )
    requests_per_second: float = Field(
        200.0, gt=0, description="requests a second of one token, in each process; more: 429 with Retry-After"
    )
    burst: int = Field(400, ge=1, description="requests of one token that may come at once")
    connections: int = Field(1_000, ge=1, description="open connections of a process; more: 503")
    threads: int = Field(32, ge=1, description="requests of a process that are worked on at the same time")


class Serve(Part):
    """The HTTP service (`oqm serve`)."""

    host: str = Field("127.0.0.1", min_length=1, description="address to listen on; 0.0.0.0 in a container")
    port: int = Field(8_086, ge=0, le=65_535, description="port to listen on; 0: a free one")
    processes: int = Field(1, ge=1, le=64, description="processes that share the port")
    database: str = Field(
        "",
        description="where the ledger of actions is: a folder (SQLite, one machine) or "
        "postgresql://user:password@host/database; empty: as store.location",
    )
    graceful_stop: Duration = Field(
        20.0, gt=0, validate_default=True, description="how long requests in flight may take to finish after SIGTERM"
    )
    cert_file: str | None = Field(None, description="PEM file of the certificate for HTTPS; null: plain HTTP")
    key_file: str | None = Field(None, description="PEM file of its key")
    limits: ServeLimits = Field(default_factory=ServeLimits)

    @model_validator(mode="after")
    def _certificate_and_key(self) -> Serve:
        if (self.cert_file is None) != (self.key_file is None):
            raise MisplacedError(
                "cert_file and key_file go together", "cert_file" if self.key_file is None else "key_file"
            )
        return self
