"""The certificate that a port serves, as seen on the host itself by `openssl s_client`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mailtui.connections.clean import clean
from mailtui.connections.errors import SourceError, ToolMissing
from mailtui.connections.runner import command
from mailtui.model.host import Certificate

if TYPE_CHECKING:
    from mailtui.config.sources.hosts import Served
    from mailtui.connections.runner import Command, Completed, Runner

PATIENCE = 5
"""Seconds that a port has for its handshake."""
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----\n[\w+/=\n]+-----END CERTIFICATE-----")
_NAMES_KEPT = 20
"""Names kept of one certificate."""


async def read(runner: Runner, served: Served, address: str | None) -> Certificate:
    """The certificate of one port; why there is none stands in `error`.

    Raises ToolMissing if the host has no openssl, SourceError if the host does not answer.
    """
    done = await runner.run(_command(served, "127.0.0.1", address), timeout=PATIENCE + 5)
    if "onnection refused" in done.stderr and address:
        # the daemon may listen on its public address alone
        done = await runner.run(_command(served, address, address), timeout=PATIENCE + 5)
    if done.missing:
        raise ToolMissing("openssl", runner.name)
    if done.stderr.startswith("sudo:"):
        raise SourceError("auth", f"{runner.name}: {done.stderr.strip()}")
    return parse(served, done)


def parse(served: Served, done: Completed) -> Certificate:
    """The leaf certificate in the output of `openssl s_client`."""
    found = _PEM.search(done.stdout)
    if found is None:
        return Certificate(port=served.port, service=served.service, error=_reason(done))
    return of_pem(served.port, served.service, found[0])


def of_pem(port: int, service: str, pem: str) -> Certificate:
    """The record of a certificate in PEM form (RFC 5280)."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        leaf = x509.load_pem_x509_certificate(pem.encode("ascii"))
        names: tuple[str, ...] = ()
        try:
            alternative = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            names = tuple(clean(str(name.value)) for name in alternative if hasattr(name, "value"))[
                :_NAMES_KEPT
            ]
        except x509.ExtensionNotFound:
            pass
        common = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return Certificate(
            port=port,
            service=service,
            subject=clean(str(common[0].value) if common else leaf.subject.rfc4514_string()),
            names=names,
            issuer=clean(leaf.issuer.rfc4514_string()),
            not_before=leaf.not_valid_before_utc.timestamp(),
            not_after=leaf.not_valid_after_utc.timestamp(),
        )
    except ValueError as error:
        return Certificate(port=port, service=service, error=f"unreadable: {clean(str(error))}")


def _command(served: Served, at: str, address: str | None) -> Command:
    argv = ["timeout", str(PATIENCE), "openssl", "s_client", "-connect", _place(at, served.port)]
    if address is not None and not _is_ip(address):
        argv += ["-servername", address]
    if served.starttls is not None:
        argv += ["-starttls", served.starttls]
    return command(*argv)


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_ip(address: str) -> bool:
    return ":" in address or address.replace(".", "").isdigit()


def _reason(done: Completed) -> str:
    words = f"{done.stdout}\n{done.stderr}"
    for sign, reason in (
        ("onnection refused", "connection refused"),
        ("errno=111", "connection refused"),
        ("No route to host", "no route to the host"),
        ("starttls in server response", "the server offers no STARTTLS"),
        ("no peer certificate available", "the port does not speak TLS"),
        ("handshake failure", "TLS handshake failure"),
    ):
        if sign in words:
            return reason
    if done.status == 124:
        return f"no answer within {PATIENCE} s"
    last = [line for line in done.stderr.splitlines() if line.strip()]
    return last[-1].strip()[:120] if last else f"openssl ended with exit code {done.status}"
