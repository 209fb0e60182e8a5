"""A CA's private key in a PKCS #11 token (an HSM, a smart card, a TPM behind tpm2-pkcs11): it signs there, and never
leaves.

In place of a key, the CA's key file holds the key's URI (RFC 7512), for example

    pkcs11:token=milepost;object=ca?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/milepost/ca.pin

The PIN is in a file of its own, 0600, so that it is in no argument and in no log.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from contract.errors import Misconfigured
from provisioning import secure_files

SCHEME = "pkcs11:"
_FORM = "pkcs11:token=NAME;object=NAME?module-path=FILE.so&pin-source=file:FILE"


@dataclass(frozen=True, slots=True)
class TokenUri:
    """Where a key is. module: the library of the token's maker. pin_file: holds the PIN and nothing else."""

    token: str
    object: str
    module: str
    pin_file: Path

    @classmethod
    def parse(cls, text: str) -> "TokenUri":
        """Misconfigured where something is missing."""
        path, _, query = text.strip().removeprefix(SCHEME).partition("?")
        parts = dict(part.partition("=")[::2] for part in [*path.split(";"), *query.split("&")])
        values = {key: unquote(value) for key, value in parts.items()}
        source = values.get("pin-source", "").removeprefix("file:")
        if not all((values.get("token"), values.get("object"), values.get("module-path"), source)):
            raise Misconfigured(f"{text.strip()[:200]!r} must be {_FORM}")
        return cls(values["token"], values["object"], values["module-path"], Path(source))


def make_key(text: str) -> None:
    """Make a P-256 key of this URI in the token, where there is none. Misconfigured where the token refuses."""
    import pkcs11
    from pkcs11.util.ec import encode_named_curve_parameters

    uri = TokenUri.parse(text)
    with _session(uri, rw=True) as session:
        found = session.get_objects(
            {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY, pkcs11.Attribute.LABEL: uri.object}
        )
        if next(iter(found), None) is None:
            curve = {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
            parameters = session.create_domain_parameters(pkcs11.KeyType.EC, curve, local=True)
            parameters.generate_keypair(store=True, label=uri.object)


class TokenKey(ec.EllipticCurvePrivateKey):
    """A P-256 key that signs by SHA-256 in its token; nothing else can be had of it. Misconfigured where the token is
    away, the PIN is wrong, or there is no such key."""

    def __init__(self, text: str) -> None:
        self._uri = TokenUri.parse(text)
        with self._objects("PUBLIC_KEY") as key:
            from pkcs11.util.ec import encode_ec_public_key

            public = serialization.load_der_public_key(encode_ec_public_key(key))
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise Misconfigured(f"the key {self._uri.object} in {self._uri.token} is no EC key")
        self._public = public

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Its public key."""
        return self._public

    @property
    def curve(self) -> ec.EllipticCurve:
        """P-256."""
        return self._public.curve

    @property
    def key_size(self) -> int:
        """In bits."""
        return self._public.curve.key_size

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """An ECDSA signature, DER."""
        import pkcs11
        from pkcs11.util.ec import encode_ecdsa_signature

        digest = hashes.Hash(hashes.SHA256())
        digest.update(bytes(data))
        with self._objects("PRIVATE_KEY") as key:
            return bytes(encode_ecdsa_signature(key.sign(digest.finalize(), mechanism=pkcs11.Mechanism.ECDSA)))

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
        """Not of a CA's key."""
        raise NotImplementedError

    def private_numbers(self) -> ec.EllipticCurvePrivateNumbers:
        """They stay in the token."""
        raise NotImplementedError

    def private_bytes(self, *_: Any, **__: Any) -> bytes:
        """They stay in the token."""
        raise NotImplementedError

    def __copy__(self) -> "TokenKey":
        return self

    def __deepcopy__(self, memo: dict[Any, Any]) -> "TokenKey":
        return self

    @contextmanager
    def _objects(self, kind: str) -> Iterator[Any]:
        with _session(self._uri) as session:
            import pkcs11

            wanted = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass[kind], pkcs11.Attribute.LABEL: self._uri.object}
            found = next(iter(session.get_objects(wanted)), None)
            if found is None:
                raise Misconfigured(f"the token {self._uri.token} has no key {self._uri.object}: is it another token?")
            yield found


@contextmanager
def _session(uri: TokenUri, *, rw: bool = False) -> Iterator[Any]:
    try:
        import pkcs11
    except ModuleNotFoundError:
        raise Misconfigured("python-pkcs11 is not installed: pip install 'milepost[pkcs11]'") from None
    pin = secure_files.read_private(uri.pin_file).decode("utf-8").strip()
    try:
        token = pkcs11.lib(uri.module).get_token(token_label=uri.token)
        with token.open(user_pin=pin, rw=rw) as session:
            yield session
    except (pkcs11.PKCS11Error, RuntimeError) as error:
        raise Misconfigured(
            f"the token {uri.token} by {uri.module} cannot be used ({type(error).__name__}): look at the token, the "
            "PIN in its file, and the module's path"
        ) from None
