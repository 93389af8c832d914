"""One mail handed to an SMTP server, and what its outcome means: accepted, worth another try, or refused for good.

Called by the e-mail sink. May import `monitor.errors` and this sink's configuration.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from typing import cast

import aiosmtplib

from monitor.errors import DeliveryError, PermanentDelivery, RetryableDelivery
from monitor.sinks.email.config import PORTS, EmailSinkConfig

_MAX_ANSWER_CHARS = 200
"""Of a server's answer, in an error message: about two lines of a log."""


async def deliver(mail: EmailMessage, config: EmailSinkConfig) -> None:
    """Hand `mail` to the server of `config`; returning means that it has accepted it for every recipient.

    Opens a connection and closes it. Raises `RetryableDelivery` or `PermanentDelivery`, each in one line. SMTP gives
    the difference by the first digit of an answer (RFC 5321, 4.2.1): 4 may pass, 5 will not.
    """
    where = f"{config.host}:{config.port or PORTS[config.security]}"
    try:
        async with asyncio.timeout(config.timeout):  # for the whole exchange; the client's own would be for each step
            refused = await _exchange(mail, config)
    except aiosmtplib.SMTPRecipientsRefused as error:
        answers = [(each.code, each.message) for each in error.recipients]
        raise _refused(where, answers, len(config.recipients)) from None
    except aiosmtplib.SMTPResponseException as error:
        raise _answered(where, error.code, error.message) from None
    except aiosmtplib.SMTPNotSupported as error:
        raise PermanentDelivery(f"{where}: {_line(str(error))}") from None
    except aiosmtplib.SMTPConnectError as error:
        raise RetryableDelivery(f"{where}: {_line(str(error.__cause__ or error))}") from None
    except aiosmtplib.SMTPException as error:
        raise RetryableDelivery(f"{where}: {_line(str(error)) or type(error).__name__}") from None
    except TimeoutError:
        raise RetryableDelivery(f"{config.host} did not accept the mail within {config.timeout:g} s") from None
    except OSError as error:
        # A refused certificate, too: its owner replaces it within hours, and the alert must not be lost for that.
        raise RetryableDelivery(f"{where}: {_line(str(error)) or type(error).__name__}") from None
    if refused:
        raise _refused(where, refused, len(config.recipients))


async def _exchange(mail: EmailMessage, config: EmailSinkConfig) -> list[tuple[int, str]]:
    """The answers for the recipients that were refused while others were accepted."""
    trust = None
    if config.security != "none":
        # In a thread, because it reads the certificates of the authorities from disk.
        trust = await asyncio.to_thread(ssl.create_default_context, cafile=config.ca_file)
    server = aiosmtplib.SMTP(
        hostname=config.host,
        port=config.port or PORTS[config.security],
        use_tls=config.security == "tls",
        start_tls=False,  # done below, where a server without it can be recognized
        tls_context=trust,
        timeout=None,
    )
    try:
        await server.connect()
        if config.security == "starttls":
            await _needs(server, "starttls", "STARTTLS")
            await server.starttls()
        if config.username is not None and config.password is not None:
            await _needs(server, "auth", "AUTH")
            await server.login(config.username, config.password.get_secret_value())
        refused, _ = await server.send_message(mail, sender=config.sender, recipients=list(config.recipients))
    finally:
        # Without QUIT: the mail has its answer, and another could only take time. What a hanging server has not
        # read is dropped with the connection.
        if server.transport is not None:
            cast(asyncio.WriteTransport, server.transport).abort()
        server.close()
    return [(answer.code, answer.message) for answer in refused.values()]


async def _needs(server: aiosmtplib.SMTP, extension: str, called: str) -> None:
    """Raises `SMTPNotSupported` where the server does not offer the extension, which no later try changes."""
    await server.ehlo()
    if not server.supports_extension(extension):
        raise aiosmtplib.SMTPNotSupported(f"{called} is not supported by the server")


def _refused(where: str, answers: Sequence[tuple[int, str]], of: int) -> DeliveryError:
    """The error for refused recipients. The others have the mail; a repetition has the same Message-ID."""
    temporary = [answer for answer in answers if answer[0] < 500]
    code, answer = (temporary or answers)[0]
    return _answered(where, code, answer, f" for {len(answers)} of {of} recipients")


def _answered(where: str, code: int, answer: str, what: str = "") -> DeliveryError:
    """The error for an answer; `code` is -1 where the server answered without a number."""
    words = _line(answer)
    message = f"{where} answered {code}{what}" + (f": {words}" if words else "")
    return PermanentDelivery(message) if 500 <= code < 600 else RetryableDelivery(message)


def _line(words: str) -> str:
    """`words` on one line, without characters that cannot be shown, cut to a length for a log."""
    return " ".join("".join(c if c.isprintable() else " " for c in words).split())[:_MAX_ANSWER_CHARS]
