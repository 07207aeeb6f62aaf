"""Proxies from the environment, and tunnels through them; TLS towards upstreams."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.errors import UpstreamClosed
from gateway.net import tls
from gateway.net.pool import Pool
from gateway.net.proxies import NO_PROXIES, Proxies, Proxy
from tests.net.upstream import Peer, answer, repeat, upstream

ENV = {
    "https_proxy": "http://user:p%40ss@proxy.example:3128",
    "NO_PROXY": "localhost, .corp.example,10.0.0.0/8,a.b:8443",
}


@pytest.mark.parametrize(
    ("host", "port", "through"),
    [
        ("api.example.com", 443, True),
        ("localhost", 443, False),
        ("x.corp.example", 443, False),
        ("corp.example", 443, False),
        ("notcorp.example", 443, True),
        ("10.1.2.3", 443, False),
        ("11.1.2.3", 443, True),
        ("a.b", 8443, False),
        ("a.b", 443, True),
    ],
)
def test_no_proxy_names_hosts_domains_networks_and_ports(host: str, port: int, through: bool) -> None:
    found = Proxies.from_env(ENV).of("https", host, port)
    assert (found == Proxy("proxy.example", 3128, False, b"Basic dXNlcjpwQHNz")) is through


def test_a_header_cannot_set_the_proxy_of_plain_requests() -> None:
    assert Proxies.from_env({"HTTP_PROXY": "http://evil:1"}).of("http", "a", 80) is None
    assert Proxies.from_env({"http_proxy": "p:8080"}).of("http", "a", 80) == Proxy("p", 8080, False)
    assert Proxies.from_env({"ALL_PROXY": "https://p", "NO_PROXY": "*"}).of("https", "a", 1) is None
    with pytest.raises(ValueError, match="a proxy is"):
        Proxies.from_env({"https_proxy": "socks5://p:1"})


async def test_a_plain_request_names_its_whole_target_to_the_proxy() -> None:
    async with upstream(repeat(answer(b"ok"))) as proxy:
        pool = Pool(proxies=Proxies({"http": Proxy.parse(proxy.url.replace("//", "//u:p@"))}))
        assert await (await pool.send("GET", "http://api.example/x")).read() == b"ok"
        assert proxy.requests[0].startswith(
            b"GET http://api.example/x HTTP/1.1\r\nhost: api.example\r\nproxy-authorization: Basic dTpw\r\n"
        )
        await pool.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def serving(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def trusting(certificate: Path, *, proxies: Proxies = NO_PROXIES) -> Pool:
    return Pool(proxies=proxies, tls=lambda: tls.context(ca_file=str(certificate)))


async def test_tls_is_verified(certificate: Path) -> None:
    async with upstream(repeat(answer(b"ok")), ssl=serving(certificate)) as up:
        good, strict = trusting(certificate), Pool(proxies=NO_PROXIES)
        assert await (await good.send("GET", up.url)).read() == b"ok"
        assert await (await good.send("GET", up.url)).read() == b"ok"
        assert len(up.peers) == 1
        with pytest.raises(UpstreamClosed, match="certificate") as caught:
            await strict.send("GET", up.url)
        assert not caught.value.sent
        await good.close()
        await strict.close()


def tunnel(status: bytes = b"200 OK") -> object:
    """A proxy that opens what CONNECT names."""

    async def script(peer: Peer) -> None:
        head = await peer.request()
        await peer.write(b"HTTP/1.1 " + status + b"\r\nvia: x\r\n\r\n")
        if not status.startswith(b"200"):
            return
        host, _, port = head.split(b" ")[1].decode().partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()

        try:
            await asyncio.gather(pump(peer.reader, writer), pump(reader, peer.writer))
        finally:
            writer.transport.abort()

    return script


async def test_https_goes_through_a_tunnel_and_is_verified_inside_of_it(certificate: Path) -> None:
    async with (
        upstream(repeat(answer(b"secret")), ssl=serving(certificate)) as up,
        upstream(tunnel()) as proxy,  # type: ignore[arg-type]
    ):
        pool = trusting(certificate, proxies=Proxies({"https": Proxy.parse(proxy.url)}))
        for _ in range(2):
            assert await (await pool.send("GET", up.url)).read() == b"secret"
        assert len(proxy.peers) == 1
        port = up.url.rsplit(":", 1)[1].encode()
        assert proxy.requests == [
            b"CONNECT 127.0.0.1:" + port + b" HTTP/1.1\r\nhost: 127.0.0.1:" + port + b"\r\n\r\n"
        ]
        assert b"secret" not in b"".join(proxy.requests)
        await pool.close()


@pytest.mark.parametrize("status", [b"407 Proxy Authentication Required", b"502 Bad Gateway"])
async def test_a_proxy_that_refuses_is_a_failed_connection(status: bytes) -> None:
    async with upstream(tunnel(status)) as proxy:  # type: ignore[arg-type]
        pool = Pool(proxies=Proxies({"https": Proxy.parse(proxy.url)}))
        with pytest.raises(UpstreamClosed, match=status[:3].decode()) as caught:
            await pool.send("GET", "https://api.example/")
        assert not caught.value.sent
        await pool.close()
