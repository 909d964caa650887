"""TLS of the HTTP sources: a private CA, a client certificate, and never without verification."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mailtui.collectors.elasticsearch import ElasticsearchCollector
from mailtui.collectors.prometheus import PrometheusCollector
from mailtui.collectors.rabbitmq import RabbitmqCollector
from mailtui.config.sources import elasticsearch, prometheus, rabbitmq
from mailtui.connections.elastic import ElasticClient
from mailtui.connections.errors import SourceError
from mailtui.connections.http import HttpClient


class Authority:
    """A CA that writes certificates."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(self._name, self._key, ca=True)
        self.path = directory / f"{name}.crt"
        self.path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str) -> tuple[Path, Path]:
        """(certificate, key) for `name` at 127.0.0.1."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(subject, key, ca=False)
        paths = self._directory / f"{name}.crt", self._directory / f"{name}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return paths

    def _sign(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, ca: bool) -> Any:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False
            )
            .sign(self._key, hashes.SHA256())
        )


class Server:
    """Answers `teapot` to who has a certificate of its CA."""

    def __init__(self, directory: Path) -> None:
        self.authority = Authority(directory, "ca")
        self.other = Authority(directory, "other")
        self.client = self.authority.issue("client")
        certificate, key = self.authority.issue("server")
        self.context = ssl.create_default_context(
            ssl.Purpose.CLIENT_AUTH, cafile=str(self.authority.path)
        )
        self.context.load_cert_chain(certificate, key)
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.url = ""

    def tls(self, ca: Path | None, *, client: bool = True) -> dict[str, Any]:
        found: dict[str, Any] = {"ca": ca} if ca else {}
        if client:
            found |= {"certificate": self.client[0], "key": self.client[1]}
        return found


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    found = Server(tmp_path)

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"error": "teapot"}, status=418)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=found.context).start()
    found.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


async def outcome(source: str, url: str, tls: dict[str, Any]) -> SourceError:
    """How a read ends."""
    collector: Any
    if source == "prometheus":
        collector = PrometheusCollector(prometheus.Settings(url=url, tls=tls), {})
    elif source == "rabbitmq":
        settings = rabbitmq.Settings(url=url, tls=tls)
        collector = RabbitmqCollector(settings, HttpClient(source, url, settings))
    else:
        search = elasticsearch.Settings(urls=(url,), tls=tls)
        collector = ElasticsearchCollector(search, ElasticClient(search))
    try:
        with pytest.raises(SourceError) as caught:
            await collector.read()
    finally:
        await collector.close()
    return caught.value


SOURCES = pytest.mark.parametrize("source", ["prometheus", "rabbitmq", "elasticsearch"])


@SOURCES
async def test_the_private_ca_and_the_client_certificate(source: str, server: Server) -> None:
    error = await outcome(source, server.url, server.tls(server.authority.path))
    assert error.kind == "server"
    assert "418" in error.message


@SOURCES
@pytest.mark.parametrize("private", [True, False])
async def test_a_certificate_of_another_ca_is_refused(
    source: str, server: Server, private: bool
) -> None:
    error = await outcome(source, server.url, server.tls(server.other.path if private else None))
    assert error.kind == "auth"
    assert "certificate" in error.message.lower()
    assert error.hint == "check tls.ca and the name in url"


@SOURCES
async def test_without_a_client_certificate_the_server_refuses(source: str, server: Server) -> None:
    error = await outcome(source, server.url, server.tls(server.authority.path, client=False))
    assert error.kind in ("auth", "unreachable")


@SOURCES
async def test_the_environments_ca_replaces_no_private_ca(
    source: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.authority.path))
    monkeypatch.setenv("CURL_CA_BUNDLE", str(server.authority.path))
    error = await outcome(source, server.url, server.tls(server.other.path))
    assert error.kind == "auth"
