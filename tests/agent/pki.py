"""An authority of the test's own, with certificates for a server on 127.0.0.1 and for trucks."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.transport.endpoint import Tls

PEM = serialization.Encoding.PEM


class Authority:
    """`ca.pem` in a folder, and what it has signed beside it as NAME.pem and NAME.key."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.ca = folder, folder / "ca.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        builder = self._builder(self._name, self._key, timedelta(days=2))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.ca.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(PEM))

    def issue(self, name: str, lifetime: timedelta = timedelta(days=2)) -> Tls:
        """A certificate for `name`, good for localhost as well, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = [x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
        builder = self._builder(subject, key, lifetime)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate, key_file = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(PEM))
        form = serialization.PrivateFormat.PKCS8
        key_file.write_bytes(key.private_bytes(PEM, form, serialization.NoEncryption()))
        return Tls(self.ca, certificate, key_file)

    def mosquitto(self) -> str:
        """The lines of a mosquitto that knows trucks by their certificates."""
        server = self.issue("localhost")
        return (
            f"cafile {self.ca}\ncertfile {server.certificate}\nkeyfile {server.key}\n"
            "require_certificate true\nuse_identity_as_username true\n"
        )

    def context(self, name: str) -> ssl.SSLContext:
        """A client's, for `name`."""
        tls = self.issue(name)
        context = ssl.create_default_context(cafile=str(self.ca))
        context.load_cert_chain(str(tls.certificate), str(tls.key))
        return context

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, lifetime: timedelta
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(now, now + lifetime) - timedelta(hours=1))
            .not_valid_after(now + lifetime)
        )
