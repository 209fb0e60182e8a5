"""The local certificate authority: EC P-256, X.509, all bytes in memory (provisioning.secure_files writes them).

Promises to the registry: what a certificate says is decided here and never by the request, of which only the public
key is taken, and that only after its signature has proved that the sender holds the private key. A certificate for a
truck can only be a client's, one for a server only a server's, and none can sign another.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from contract.errors import Misconfigured, Rejected
from contract.topics import ID
from provisioning import token_key
from provisioning.errors import AuthorityEnds

Role = Literal["client", "server"]

AUTHORITY_DAYS = 3650
SHORTEST_LIFE = timedelta(days=90)
"""A truck gets no certificate that its CA's end would make shorter than this: the CA is to be changed first."""

CRL_DAYS = 3650  # mosquitto refuses everyone once a list has expired; the box writes a new one at every change
_BACKDATED = timedelta(hours=1)  # for a gateway whose clock is a little behind
_MAX_CSR = 8192
_DNS_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*")
_MAX_DNS_NAME = 253
_LIST = re.compile(r"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Issued:
    """One certificate. serial: hexadecimal, as the revocation list has it. key_hash: SHA-256 of its public key."""

    pem: str
    serial: str
    key_hash: str
    not_after: datetime


@dataclass(frozen=True, slots=True)
class Revoked:
    """One line of the revocation list."""

    serial: str
    at: datetime


class Authority:
    """Signs with one CA key. key_pem and certificate_pem are what `new_authority` gave."""

    def __init__(self, key_pem: bytes, certificate_pem: str) -> None:
        try:
            key = load_key(key_pem)
            self._certificate = x509.load_pem_x509_certificate(certificate_pem.encode("ascii"))
        except ValueError:
            raise Misconfigured("the CA's key or certificate is damaged: restore ca.key and ca.pem") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != self._certificate.public_key():
            raise Misconfigured("ca.key is not the key of ca.pem: restore both from one backup")
        self._key = key
        self.certificate_pem = certificate_pem

    def issue(
        self, csr_pem: str, name: str, *, days: float, role: Role = "client", hosts: Sequence[str] = ()
    ) -> Issued:
        """A certificate for `name`, whatever the request calls itself. hosts: a server's names and addresses.

        It ends with the CA at the latest. Raises Rejected for a request that is malformed, signed wrongly, or has a
        weak key; AuthorityEnds where a client's would end with the CA in less than SHORTEST_LIFE.
        """
        return self._sign(read_csr(csr_pem), name, days=days, role=role, hosts=hosts)

    def _sign(
        self, public_key: "PublicKey", name: str, *, days: float, role: Role, hosts: Sequence[str] = ()
    ) -> Issued:
        now = datetime.now(UTC)
        usage = ExtendedKeyUsageOID.SERVER_AUTH if role == "server" else ExtendedKeyUsageOID.CLIENT_AUTH
        until, end = now + timedelta(days=days), self._certificate.not_valid_after_utc
        if role == "client" and end - now < min(timedelta(days=days), SHORTEST_LIFE):
            raise AuthorityEnds(end)
        until = min(until, end)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self._certificate.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(now, until) - _BACKDATED)
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage("digital_signature"), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(_issued_by(self._certificate), critical=False)
        )
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False
            )
        return described(_pem(builder.sign(self._key, hashes.SHA256())))

    def revocation_list(self, revoked: Iterable[Revoked]) -> str:
        """The PEM of a CRL that names these certificates."""
        now = datetime.now(UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(now - timedelta(seconds=1))
            .next_update(now + timedelta(days=CRL_DAYS))
            .add_extension(_issued_by(self._certificate), critical=False)
            .add_extension(x509.CRLNumber(int(now.timestamp() * 1000)), critical=False)
        )
        for one in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(int(one.serial, 16)).revocation_date(one.at)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode("ascii")


PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


def new_authority(name: str) -> tuple[bytes, str]:
    """A new CA: its private key (PEM, unencrypted: for a 0600 file) and its certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    return _private_pem(key), _authority_certificate(key, name)


def authority_for(key_pem: bytes, name: str) -> str:
    """The certificate of a CA whose key is there already; Misconfigured if it is damaged."""
    try:
        key = load_key(key_pem)
    except ValueError:
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Misconfigured("ca.key is damaged: restore it and ca.pem from one backup")
    return _authority_certificate(key, name)


def matches(key_pem: bytes, certificate_pem: str) -> bool:
    """Whether a private key is that of a certificate; False also where either is damaged."""
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
        return key.public_key() == x509.load_pem_x509_certificate(certificate_pem.encode("ascii")).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False


def revoked_by(roots_pem: str, lists_pem: str) -> list[Revoked]:
    """What revocation lists name as revoked.

    Args:
        roots_pem: the authorities that are believed, one or more certificates.
        lists_pem: of a file with one or more lists; those of strangers are left out.

    Returns:
        Each certificate once, of all lists that one of these authorities signed.

    Raises:
        Rejected: no list in it is of one of them.
    """
    found: dict[str, Revoked] = {}
    genuine = False
    for text in _LIST.findall(lists_pem):
        try:
            one = x509.load_pem_x509_crl(text.encode("ascii"))
            if not any(_signed_list(root, one) for root in _certificates(roots_pem)):
                continue
        except (ValueError, TypeError, UnsupportedAlgorithm):
            continue
        genuine = True
        found |= {f"{it.serial_number:x}": Revoked(f"{it.serial_number:x}", it.revocation_date_utc) for it in one}
    if not genuine:
        raise Rejected("crl", "not a revocation list of this CA")
    return list(found.values())


def _signed_list(root: x509.Certificate, one: x509.CertificateRevocationList) -> bool:
    key = root.public_key()
    return isinstance(key, ec.EllipticCurvePublicKey) and one.is_signature_valid(key)


def _certificates(pem: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(pem.encode("ascii"))


def ends_at(certificate_pem: str) -> datetime:
    """The end of a certificate's life. Misconfigured where the file is none."""
    try:
        return x509.load_pem_x509_certificate(certificate_pem.encode("ascii")).not_valid_after_utc
    except ValueError:
        raise Misconfigured("a certificate of the CA is damaged: restore it from a backup") from None


def load_key(key_pem: bytes) -> object:
    """A CA's private key: PEM, or the URI of one in a token (provisioning.token_key). ValueError if it is neither."""
    if key_pem.startswith(token_key.SCHEME.encode("ascii")):
        return token_key.TokenKey(key_pem.decode("utf-8"))
    return serialization.load_pem_private_key(key_pem, password=None)


def _authority_certificate(key: ec.EllipticCurvePrivateKey, name: str) -> str:
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pem(certificate)


def new_key() -> tuple[bytes, str]:
    """A private key (PEM) and a signing request for it that names nobody."""
    key = ec.generate_private_key(ec.SECP256R1())
    return _private_pem(key), request_for(_private_pem(key))


def request_for(key_pem: bytes) -> str:
    """A signing request for a private key."""
    key = serialization.load_pem_private_key(key_pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Misconfigured("not an EC private key: remove the file, and a new key is made")
    empty = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return empty.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode("ascii")


def read_csr(csr_pem: str) -> PublicKey:
    """The public key of a signing request whose signature holds; Rejected otherwise."""
    try:
        if len(csr_pem) > _MAX_CSR:
            raise ValueError
        csr = x509.load_pem_x509_csr(csr_pem.encode("ascii"))
        key, holds = csr.public_key(), csr.is_signature_valid
    except Exception:  # noqa: BLE001 - a record's door: what a stranger sent may break the parser in many ways
        raise Rejected("csr", "not a PKCS #10 request in PEM") from None
    if not holds:
        raise Rejected("csr", "its signature is not by its own key: make the request anew")
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in ("secp256r1", "secp384r1"):
        return key
    if isinstance(key, rsa.RSAPublicKey) and 2048 <= key.key_size <= 4096:
        return key
    raise Rejected("csr", "its key must be EC P-256, EC P-384, or RSA of 2048 to 4096 bits")


def key_hash(public_key: PublicKey) -> str:
    """SHA-256, hexadecimal, of a public key: which key a certificate or a request is about."""
    data = public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(data)
    return digest.finalize().hex()


def described(certificate_pem: str) -> Issued:
    """What a certificate says of itself; Rejected if it is none."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem.encode("ascii"))
        public_key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise Rejected("certificate", "not an X.509 certificate in PEM") from None
    if not isinstance(public_key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise Rejected("certificate", "its key is neither EC nor RSA")
    return Issued(
        certificate_pem, f"{certificate.serial_number:x}", key_hash(public_key), certificate.not_valid_after_utc
    )


def vouches_for(roots_pem: str, certificate_pem: str) -> bool:
    """Whether one of these authorities signed a certificate."""
    try:
        roots = _certificates(roots_pem)
        certificate = x509.load_pem_x509_certificate(certificate_pem.encode("ascii"))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return any(_issued(root, certificate) for root in roots)


def _issued(root: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def common_name(certificate_pem: str) -> str:
    """The truck (or server) that a certificate names; Rejected if none."""
    names = x509.load_pem_x509_certificate(certificate_pem.encode("ascii")).subject.get_attributes_for_oid(
        NameOID.COMMON_NAME
    )
    if len(names) != 1 or not ID.fullmatch(str(names[0].value)):
        raise Rejected("certificate", "names no truck")
    return str(names[0].value)


def names_itself(certificate_pem: str, name: str) -> bool:
    """Whether a certificate's common name is this."""
    subject = x509.load_pem_x509_certificate(certificate_pem.encode("ascii")).subject
    return any(one.value == name for one in subject.get_attributes_for_oid(NameOID.COMMON_NAME))


def signed_by(certificate_pem: str, signature: bytes, message: bytes) -> bool:
    """Whether the holder of a certificate's private key signed a message (SHA-256; ECDSA, or RSA by PKCS #1 v1.5)."""
    public_key = x509.load_pem_x509_certificate(certificate_pem.encode("ascii")).public_key()
    try:
        if isinstance(public_key, ec.EllipticCurvePublicKey):
            public_key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        elif isinstance(public_key, rsa.RSAPublicKey):
            public_key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
        else:
            return False
    except InvalidSignature:
        return False
    return True


def check_host(host: str) -> None:
    """Misconfigured for what is neither an address nor a name that a certificate can hold."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if not (_DNS_NAME.fullmatch(host) and len(host) <= _MAX_DNS_NAME):
            raise Misconfigured(
                f"host: {host!r:.80} must be an IP address or a DNS name (letters, digits, -, _ and .; an "
                "international name in its xn-- form)"
            ) from None


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _issued_by(authority: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    key_id = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id)


def _usage(*allowed: str) -> x509.KeyUsage:
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    more = ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{name: name in allowed for name in (*names, *more)})


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
