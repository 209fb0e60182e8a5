"""Keys, signing requests and signatures of the truck: EC P-256 for new keys; RSA ones that it was given work, too."""

import base64
from datetime import UTC, datetime, timedelta

from contract.errors import Misconfigured

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
except ModuleNotFoundError:
    raise Misconfigured("cryptography is not installed: pip install 'milepost[agent]'") from None


_DECADES = timedelta(days=3651)
_KEY_LIFE = timedelta(days=90)


def new_key() -> bytes:
    """A private key, PEM."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def signing_request(key_pem: bytes) -> str:
    """A PKCS #10 request, PEM. It names nobody: who the truck is, the office knows."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(_key(key_pem), hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode("ascii")


def sign(key_pem: bytes, message: bytes) -> str:
    """A signature (SHA-256; ECDSA, or RSA by PKCS #1 v1.5), base64."""
    key = _key(key_pem)
    if isinstance(key, rsa.RSAPrivateKey):
        signature = key.sign(message, padding.PKCS1v15(), hashes.SHA256())
    else:
        signature = key.sign(message, ec.ECDSA(hashes.SHA256()))
    return base64.b64encode(signature).decode("ascii")


def belongs(certificate_pem: str, key_pem: bytes) -> bool:
    """Whether a certificate is for this key."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem.encode("ascii"))
    except ValueError:
        return False
    return certificate.public_key() == _key(key_pem).public_key()


def share_lived(certificate_pem: str, now: datetime | None = None) -> float:
    """How much of its life a certificate has behind it: 0 new, 1 expired.

    AWS's last for decades; where that is so, a key is to last 90 days.
    """
    certificate = x509.load_pem_x509_certificate(certificate_pem.encode("ascii"))
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if end - begin > _DECADES:
        end = begin + _KEY_LIFE
    return ((now or datetime.now(UTC)) - begin) / (end - begin)


def _key(key_pem: bytes) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise Misconfigured("the private key is neither EC nor RSA, or damaged: enrol again with a new enrolment file")
    return key
