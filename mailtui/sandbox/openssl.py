"""openssl(1) of OpenSSL 3.0 and 3.5: s_client on the simulated ports, x509 on what it prints."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime
from typing import TYPE_CHECKING

from mailtui.sandbox.certificates import certificate
from mailtui.sandbox.commands import Command, Context, UsageError
from mailtui.sandbox.streams import lines
from mailtui.sandbox.world.hosts import Certificate, Host

if TYPE_CHECKING:
    from cryptography import x509

_STARTTLS = {25: "smtp", 587: "smtp", 143: "imap", 110: "pop3", 4190: "sieve"}
_VERSIONS = {"12": "3.0.17 1 Jul 2025", "13": "3.5.1 1 Jul 2025"}
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_UNIT_OF = {
    "smtp": ("postfix@-.service",),
    "submission": ("postfix@-.service",),
    "submissions": ("postfix@-.service",),
    "imaps": ("dovecot.service",),
    "pop3s": ("dovecot.service",),
    "sieve": ("dovecot.service",),
    "https": ("nginx.service",),
}


def _dn(name: x509.Name, separator: str) -> str:
    short = {"commonName": "CN", "organizationName": "O"}
    return ", ".join(
        f"{short.get(a.oid._name, a.oid.dotted_string)}{separator}{a.value!s}" for a in name
    )


def _when(moment: datetime) -> str:
    return f"{moment:%b} {moment.day:>2} {moment:%H:%M:%S %Y} GMT"


def _pem(cert: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return cert.public_bytes(Encoding.PEM).decode()


# -- s_client


def _options(words: list[str], with_value: set[str]) -> tuple[dict[str, str], list[str]]:
    """openssl's own form: one dash, long names; the values, and all names in order."""
    values: dict[str, str] = {}
    order: list[str] = []
    words = list(words)
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            raise UsageError(f"Unknown option or cipher: {word}")
        name = word.lstrip("-")
        order.append(name)
        values[name] = ""
        if name in with_value:
            if not words:
                raise UsageError(f"Option {word} needs a value")
            values[name] = words.pop(0)
    return values, order


_S_CLIENT_VALUES = {"connect", "starttls", "servername", "name", "verify", "CAfile", "CApath"}
_S_CLIENT_FLAGS = {"showcerts", "brief", "quiet", "noservername", "verify_quiet", "no_ign_eof"}


def _target(context: Context, name: str) -> Host | None:
    host: Host = context.machine.host
    if name in ("127.0.0.1", "localhost", "::1", "[::1]", "0", "0.0.0.0"):  # noqa: S104
        return host
    hosts: dict[str, Host] = context.machine.world.hosts
    return next((h for h in hosts.values() if name in (h.name, h.fqdn, h.address)), None)


def _served(host: Host, port: int) -> Certificate | None:
    for cert in host.certificates:
        if cert.port == port:
            names = _UNIT_OF.get(cert.service, ())
            found = [host.units[n] for n in names if n in host.units]
            return cert if all(unit.active == "active" for unit in found) else None
    return None


async def _s_client(context: Context, words: list[str]) -> int:
    values, order = _options(words, _S_CLIENT_VALUES)
    unknown = [n for n in order if n not in _S_CLIENT_VALUES | _S_CLIENT_FLAGS]
    if unknown:
        raise UsageError(f"s_client: Unknown option: -{unknown[0]} (not known to this sandbox)")
    name, _, port_text = values.get("connect", "localhost:4433").rpartition(":")
    if not port_text.isdigit():
        raise UsageError(f"s_client: cannot parse {values.get('connect')}")
    target, port = _target(context, name), int(port_text)
    newer = context.machine.host.os_version != "12"
    if target is None:
        await context.err(
            "40D7DC1B2F7F0000:error:10080002:BIO routines:BIO_lookup_ex:system lib:"
            "../crypto/bio/bio_addr.c:758:Name or service not known\nconnect:errno=22"
        )
        return 1
    served = _served(target, port)
    if not target.reachable:
        await asyncio.sleep(130)  # the kernel's own limit for connect(2)
        served = None
    if served is None and port != 22:
        line = (183, 185) if newer else (117, 119)
        await context.err(
            "40D7DC1B2F7F0000:error:8000006F:system library:BIO_connect:Connection refused:"
            f"../crypto/bio/bio_sock2.c:{line[0]}:calling connect()\n"
            "40D7DC1B2F7F0000:error:10000067:BIO routines:BIO_connect:connect error:"
            f"../crypto/bio/bio_sock2.c:{line[1]}:\nconnect:errno=111"
        )
        return 1
    if newer:
        await context.err(
            f"Connecting to {'127.0.0.1' if target is context.machine.host else target.address}"
        )
    await context.out("CONNECTED(00000003)")
    plain = _STARTTLS.get(port)
    if served is None or (plain is not None and "starttls" not in values):
        return await _not_tls(context, newer)
    if "starttls" in values and plain is None:
        # the client waits for a greeting, the server for a handshake
        await asyncio.sleep(60)
        return 1
    await _handshake(context, certificate(served), values, newer)
    return 0


async def _not_tls(context: Context, newer: bool) -> int:
    where = (
        "tls_validate_record_header:wrong version number:../ssl/record/methods/tlsany_meth.c:77:"
        if newer
        else "ssl3_get_record:wrong version number:../ssl/record/ssl3_record.c:350:"
    )
    await context.err(f"40C71F29FE7E0000:error:0A00010B:SSL routines:{where}")
    await context.out(
        "---\nno peer certificate available\n---\nNo client certificate CA names sent\n---\n"
        "SSL handshake has read 5 bytes and written 297 bytes\nVerification: OK\n---\n"
        "New, (NONE), Cipher is (NONE)\n"
        + ("Protocol: TLSv1.3\nThis TLS version forbids renegotiation.\n" if newer else "")
        + ("" if newer else "Secure Renegotiation IS NOT supported\n")
        + "Compression: NONE\nExpansion: NONE\nNo ALPN negotiated\nEarly data was not sent\n"
        "Verify return code: 0 (ok)\n---"
    )
    return 1


async def _handshake(
    context: Context, cert: x509.Certificate, values: dict[str, str], newer: bool
) -> None:
    equals = "=" if newer else " = "
    subject, issuer = _dn(cert.subject, equals), _dn(cert.issuer, equals)
    if "servername" not in values and re.fullmatch(r"[\d.:\[\]]+", values.get("connect", "")):
        await context.err("Can't use SSL_get_servername")
    await context.err(
        f"depth=0 {subject}\nverify error:num=20:unable to get local issuer certificate\n"
        f"verify return:1\ndepth=0 {subject}\n"
        "verify error:num=21:unable to verify the first certificate\n"
        f"verify return:1\ndepth=0 {subject}\nverify return:1"
    )
    if values.get("starttls") in ("smtp",):
        await context.err("250 CHUNKING")
    pem = _pem(cert)
    key = "EC, (prime256v1)" if newer else "id-ecPublicKey, 256 (bit)"
    text = (
        f"---\nCertificate chain\n 0 s:{subject}\n   i:{issuer}\n"
        f"   a:PKEY: {key}; sigalg: ecdsa-with-SHA256\n"
        f"   v:NotBefore: {_when(cert.not_valid_before_utc)}; "
        f"NotAfter: {_when(cert.not_valid_after_utc)}\n"
    )
    # with -showcerts the chain holds the certificates, and the leaf is not printed again
    text += pem if "showcerts" in values else ""
    text += "---\nServer certificate\n" + ("" if "showcerts" in values else pem)
    signature = "ecdsa_secp256r1_sha256" if newer else "ECDSA"
    exchange = (
        "Negotiated TLS1.3 group: X25519MLKEM768" if newer else "Server Temp Key: X25519, 253 bits"
    )
    renegotiation = (
        "Protocol: TLSv1.3\nServer public key is 256 bit\nThis TLS version forbids renegotiation."
        if newer
        else "Server public key is 256 bit\nSecure Renegotiation IS NOT supported"
    )
    await context.out(
        f"{text}subject={subject}\nissuer={issuer}\n---\nNo client certificate CA names sent\n"
        f"Peer signing digest: SHA256\nPeer signature type: {signature}\n{exchange}\n---\n"
        "SSL handshake has read 1084 bytes and written 410 bytes\n"
        "Verification error: unable to verify the first certificate\n---\n"
        "New, TLSv1.3, Cipher is TLS_AES_256_GCM_SHA384\n"
        f"{renegotiation}\nCompression: NONE\nExpansion: NONE\nNo ALPN negotiated\n"
        "Early data was not sent\n"
        "Verify return code: 21 (unable to verify the first certificate)\n---"
    )
    # it talks on until its standard input ends
    while await context.stdin.read():
        pass
    await context.err("DONE")


# -- x509

_X509_VALUES = {"in", "ext", "checkend", "inform"}
_X509_FLAGS = {
    "noout", "enddate", "startdate", "dates", "subject", "issuer", "serial", "fingerprint",
    "sha256", "sha1",
}  # fmt: skip


async def _x509(context: Context, words: list[str]) -> int:
    from cryptography import x509

    values, order = _options(words, _X509_VALUES)
    unknown = [n for n in order if n not in _X509_VALUES | _X509_FLAGS]
    if unknown or values.get("inform", "PEM").upper() != "PEM" or "in" in values:
        raise UsageError(f"x509: -{(unknown or ['in'])[0]} is not supported by this sandbox")
    data = b"".join([line async for line in lines(context.stdin)])
    match = _PEM.search(data)
    newer = context.machine.host.os_version != "12"
    if not match:
        await context.err(
            "Could not find certificate from <stdin>"
            if newer
            else "Could not read certificate from <stdin>\nUnable to load certificate"
        )
        return 1
    cert = x509.load_pem_x509_certificate(match.group())
    for name in order:
        text = _field(cert, name, values, "=" if newer else " = ")
        if text is not None:
            await context.out(text)
    status = 0
    if "checkend" in values:
        left = cert.not_valid_after_utc.timestamp() - context.machine.world.now
        status = int(left < int(values["checkend"] or 0))
        await context.out(f"Certificate will {'' if status else 'not '}expire")
    if "noout" not in values:
        await context.stdout.write(_pem(cert).encode())
    return status


def _field(cert: x509.Certificate, name: str, values: dict[str, str], equals: str) -> str | None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    begin = f"notBefore={_when(cert.not_valid_before_utc)}"
    end = f"notAfter={_when(cert.not_valid_after_utc)}"
    match name:
        case "enddate":
            return end
        case "startdate":
            return begin
        case "dates":
            return f"{begin}\n{end}"
        case "subject":
            return f"subject={_dn(cert.subject, equals)}"
        case "issuer":
            return f"issuer={_dn(cert.issuer, equals)}"
        case "serial":
            digits = f"{cert.serial_number:X}"
            return f"serial={digits.zfill(len(digits) + len(digits) % 2)}"
        case "fingerprint":
            # -sha1 may follow -fingerprint; it is what openssl 3 takes without either
            digest = hashes.SHA256() if "sha256" in values else hashes.SHA1()  # noqa: S303
            text = cert.fingerprint(digest).hex(":").upper()
            return f"{'sha256' if 'sha256' in values else 'SHA1'} Fingerprint={text}"
        case "ext":
            if values["ext"] != "subjectAltName":
                raise UsageError(f"x509: -ext {values['ext']} is not supported by this sandbox")
            names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            shown = ", ".join(f"DNS:{n}" for n in names.get_values_for_type(x509.DNSName))
            return f"X509v3 Subject Alternative Name: \n    {shown}"
    return None


async def openssl(context: Context, argv: list[str]) -> int:
    """`openssl s_client …`, `openssl x509 …`, `openssl version`."""
    match argv[1:2]:
        case ["s_client"]:
            return await _s_client(context, argv[2:])
        case ["x509"]:
            return await _x509(context, argv[2:])
        case ["version"]:
            version = _VERSIONS[context.machine.host.os_version]
            await context.out(f"OpenSSL {version} (Library: OpenSSL {version})")
            return 0
    raise UsageError(f"Invalid command '{' '.join(argv[1:2])}' (not known to this sandbox)")


COMMANDS: dict[str, Command] = {"/usr/bin/openssl": openssl}
