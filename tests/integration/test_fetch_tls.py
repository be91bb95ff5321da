"""Requests to strangers' addresses: certificates and handshakes."""

import datetime as dt
import ssl
import threading
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from support.servers.fetching import NAME, fetcher, read
from support.servers.talking_server import Server, answer

from services.errors import InvalidFieldError, UnavailableError
from services.outbound.fetch import SafeFetcher


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for NAME, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(cafile=str(path))


def test_certificate_is_checked_for_the_name_while_the_address_is_pinned(
    serve: Callable[..., Server], certificate: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    for_server, for_client = certificate
    asked: list[str | None] = []
    for_server.sni_callback = lambda _socket, name, _context: asked.append(name)
    server = serve(answer(b"media"), for_server)
    reach = fetcher(server, tls=for_client)
    assert read(reach, f"https://{NAME}:{server.port}/") == b"media"
    assert asked == [NAME]


def test_certificate_of_another_name_or_issuer_is_refused(
    serve: Callable[..., Server], certificate: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    for_server, for_client = certificate
    server = serve(answer(b"media"), for_server)
    other = SafeFetcher(resolver=lambda *_: ["127.0.0.1"], allowed=[f"other.example:{server.port}"], tls=for_client)
    with pytest.raises(InvalidFieldError, match=r"certificate of other\.example is not valid"):
        read(other, f"https://other.example:{server.port}/")
    with pytest.raises(InvalidFieldError, match="is not valid"):
        read(fetcher(server), f"https://{NAME}:{server.port}/")
    assert server.requests == []


def test_handshake_that_never_ends_is_cut_at_the_deadline(serve: Callable[..., Server]) -> None:
    over = threading.Event()
    server = serve(lambda *_: over.wait() and None)
    try:
        with pytest.raises(UnavailableError, match="did not finish in the time allowed"):
            read(fetcher(server), f"https://{NAME}:{server.port}/", timeout_s=0.5)
    finally:
        over.set()
