"""A real SMTP server on the loopback that records what it gets and answers as it is told."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

USER, PASSWORD = "oqm", "s3cr3t"


@dataclass
class Mailbox:
    """Handler of aiosmtpd: what it answers to RCPT (by address) and to DATA, and what it received."""

    port: int = 0
    recipients: dict[str, str] = field(default_factory=dict)
    data: str = "250 accepted"
    envelopes: list[Envelope] = field(default_factory=list)
    logins: list[bytes] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.recipients.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.data.startswith("250"):
            self.envelopes.append(envelope)
            self.encrypted.append(session.ssl is not None)
        return self.data

    def login(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        self.logins.append(data.password)
        return AuthResult(success=data.login == USER.encode() and data.password == PASSWORD.encode(), handled=False)

    @property
    def mails(self) -> list[EmailMessage]:
        parsed = (BytesParser(policy=default).parsebytes(self.raw(n)) for n in range(len(self.envelopes)))
        return [cast(EmailMessage, message) for message in parsed]

    def raw(self, number: int = -1) -> bytes:
        content = self.envelopes[number].content
        return content if isinstance(content, bytes) else str(content).encode()

    def keys(self) -> list[str | None]:
        return [mail["X-OQM-Transition"] for mail in self.mails]


@asynccontextmanager
async def smtp_server(
    certificate: ssl.SSLContext | None = None, *, tls: bool = False, auth: bool = False
) -> AsyncIterator[Mailbox]:
    """A server without TLS, with STARTTLS (a certificate alone), or with TLS from the first byte."""
    box = Mailbox()
    options: dict[str, Any] = {"hostname": "test.example", "loop": asyncio.get_running_loop()}
    if certificate is not None and not tls:
        options |= {"tls_context": certificate, "require_starttls": True}
    if auth:
        options |= {"authenticator": box.login, "auth_required": True, "auth_require_tls": not tls}
    sessions: list[SMTP] = []

    def session() -> SMTP:
        sessions.append(SMTP(box, **options))
        return sessions[-1]

    loop = asyncio.get_running_loop()
    server = await loop.create_server(session, "127.0.0.1", 0, ssl=certificate if tls else None)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
        for one in sessions:
            # Under STARTTLS the one below stays open where the handshake failed.
            for transport in (one.transport, one._original_transport):
                if transport is not None:
                    transport.abort()
        await asyncio.sleep(0.05)  # for the transports to close


def make_certificate(folder: Path, host: str = "localhost") -> tuple[Path, ssl.SSLContext]:
    """A certificate for `host` that is its own authority; needs openssl."""
    assert shutil.which("openssl")
    certificate, key = folder / f"{host}.pem", folder / f"{host}.key"
    names = f"subjectAltName=DNS:{host},IP:127.0.0.1" if host == "localhost" else f"subjectAltName=DNS:{host}"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={host}"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, "-addext", names, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return certificate, context
