"""One mail handed to an SMTP server, and what its outcome means: accepted, try again, or never.

Blocking, by the standard library: runs in a thread of its own. May import `monitor.errors` only.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
from collections.abc import Callable
from email.message import EmailMessage

from monitor.errors import DeliveryError, PermanentDelivery, RetryableDelivery
from monitor.sinks.email.config import PORTS, EmailSinkConfig

_LONGEST_ANSWER = 200
_READY = 220


class _Watched(smtplib.SMTP):
    """The library's client, whose connection is known before the first byte is awaited."""

    def __init__(self, watch: Callable[[socket.socket], None], tls: ssl.SSLContext | None, timeout_s: float) -> None:
        super().__init__(timeout=timeout_s)  # for each step; the whole is held by `Exchange.abort`
        self._watch = watch
        self._tls = tls

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        self._host = host  # what STARTTLS holds the certificate against
        connection = socket.create_connection((host, port), timeout)
        self._watch(connection)
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_hostname=host)
            self._watch(connection)
        return connection


class Exchange:
    """One connection, one mail, closed. `send` in one thread; `abort` from another makes it end."""

    def __init__(self, config: EmailSinkConfig) -> None:
        self._config = config
        self._where = f"{config.host}:{config.port or PORTS[config.security]}"
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._aborted = False

    def send(self, mail: EmailMessage) -> None:
        """Hand `mail` to the server; returning means that it has accepted it for every recipient.

        Raises `RetryableDelivery` or `PermanentDelivery`, each in one line. SMTP says it by the first digit of its
        answer (RFC 5321, 4.2.1): 4 may pass, 5 will not.
        """
        try:
            self._exchange(mail)
        except DeliveryError:
            raise
        except smtplib.SMTPRecipientsRefused as error:
            raise self._refused(error.recipients, len(self._config.recipients)) from None
        except smtplib.SMTPResponseException as error:
            raise self._answered(error.smtp_code, error.smtp_error) from None
        except smtplib.SMTPNotSupportedError as error:
            raise PermanentDelivery(f"{self._where}: {_line(str(error))}") from None
        except (smtplib.SMTPException, OSError) as error:
            # A certificate that is refused is mended by its owner, in hours: nothing that the alert should be lost for.
            raise RetryableDelivery(f"{self._where}: {_line(str(error)) or type(error).__name__}") from None

    def abort(self) -> None:
        """Break the connection, so that `send` ends; it raises then, unless the server has accepted the mail."""
        with self._lock:
            self._aborted = True
            if self._socket is not None:
                _shut(self._socket)

    def _exchange(self, mail: EmailMessage) -> None:
        config = self._config
        port = config.port or PORTS[config.security]
        trust = ssl.create_default_context(cafile=config.ca_file) if config.security != "none" else None
        server = _Watched(self._watch, trust if config.security == "tls" else None, config.timeout)
        try:
            code, answer = server.connect(config.host, port)
            if code != _READY:
                raise smtplib.SMTPConnectError(code, answer)
            if trust is not None and config.security == "starttls":
                server.starttls(context=trust)
                if server.sock is not None:
                    self._watch(server.sock)
            if config.username is not None and config.password is not None:
                server.login(config.username, config.password.get_secret_value())
            refused = server.send_message(mail, config.sender, list(config.recipients))
        finally:
            with self._lock:
                self._socket = None
            server.close()  # no QUIT: the mail is accepted, and its answer could only take time
        if refused:
            raise self._refused(refused, len(config.recipients))

    def _watch(self, connection: socket.socket) -> None:
        with self._lock:
            self._socket = connection
            if self._aborted:
                _shut(connection)

    def _refused(self, recipients: dict[str, tuple[int, bytes]], of: int) -> DeliveryError:
        """Where some were accepted they have the mail; sent again it has the same Message-ID."""
        code, answer = next(iter(recipients.values()))
        temporary = [(c, a) for c, a in recipients.values() if c < 500]
        if temporary:
            code, answer = temporary[0]
        return self._answered(code, answer, f" for {len(recipients)} of {of} recipients")

    def _answered(self, code: int, answer: bytes | str, what: str = "") -> DeliveryError:
        said = _line(answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer))
        message = f"{self._where} answered {code}{what}" + (f": {said}" if said else "")
        # smtplib says -1 where the server answered with no number at all.
        return PermanentDelivery(message) if 500 <= code < 600 else RetryableDelivery(message)


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # closed already
        return


def _line(words: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in words).split())[:_LONGEST_ANSWER]
