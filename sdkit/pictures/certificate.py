"""The key with which this computer signs pictures, and its certificate."""

import contextlib
import datetime
import os
from dataclasses import dataclass
from pathlib import Path

from sdkit.errors import AlreadyThere, SdkitError
from sdkit.files import config_dir, write_atomically

ORGANISATION = "sdkit, self-signed"
# Without a time stamp from the network, a signature holds while its certificate is valid. So the
# certificate is valid for a long time, also on a computer whose clock is wrong.
VALID_FROM = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
VALID_TO = datetime.datetime(2074, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Signer:
    """A key, with the certificates that belong to it; all are in PEM."""

    # the private key; it never leaves this computer
    key: bytes
    # the certificate of the key, and then the one that issued it
    chain: bytes
    # whether the key was made just now
    new: bool = False

    @property
    def issuer(self) -> str:
        """The certificate that issued this one. Only pictures signed with this key lead to it."""
        return self.chain[self.chain.rindex(b"-----BEGIN") :].decode("ascii")


def path() -> Path:
    """The file of key and certificates in the user's configuration folder."""
    return config_dir() / "signing.pem"


def own() -> Signer:
    """The key of this computer. It is made on first use, and only its owner may read the file.

    Raises `SdkitError` if the file cannot be written or read, or if a package is missing.
    """
    if signer := _read():
        return signer
    made = make()
    try:
        with write_atomically(path(), replace=False) as part:
            opened = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(opened, "wb") as file:
                file.write(made.key + made.chain)
    except AlreadyThere:  # another run made one in this moment
        return _read() or made
    except SdkitError as error:
        raise SdkitError(
            f"The key for signing cannot be kept in {path().parent}. "
            "Set SDKIT_CONFIG to a folder in which you may write."
        ) from error
    # a new folder is closed to others, too
    with contextlib.suppress(OSError):
        path().parent.chmod(0o700)
    return made


def find() -> Signer | None:
    """The key of this computer if there is one that can be read. None is made."""
    with contextlib.suppress(SdkitError):
        return _read()
    return None


def _read() -> Signer | None:
    """The key in the file, or None if there is no file. Raises `SdkitError` for a damaged file."""
    try:
        data = path().read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SdkitError(
            f"The key for signing, {path()}, cannot be read: {error.strerror}. "
            "Check its permissions."
        ) from error
    start = data.find(b"-----BEGIN CERTIFICATE-----")
    if not data.startswith(b"-----BEGIN PRIVATE KEY-----") or start < 0:
        raise SdkitError(
            f"The key for signing, {path()}, is damaged. Delete this file; a new key is then made."
        )
    return Signer(data[:start], data[start:])


def make() -> Signer:
    """Make a key on the curve P-256, and a certificate for it.

    C2PA refuses a certificate that signed itself, so one certificate issues the other. The key of
    the first one is deleted, so it can issue no other certificate. The certificate says nothing
    about person or computer. Raises `SdkitError` if a package is missing.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
    except ImportError as error:
        raise SdkitError(
            "The package cryptography, which makes keys for signing, is missing. Install it."
        ) from error
    issuer, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    number = x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest.hex()[:8]

    def name(common: str) -> x509.Name:
        return x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
                x509.NameAttribute(NameOID.COMMON_NAME, common),
            ]
        )

    def certificate(owner: ec.EllipticCurvePrivateKey, issues: bool) -> x509.CertificateBuilder:
        usage = {
            "content_commitment": False,
            "key_encipherment": False,
            "data_encipherment": False,
            "key_agreement": False,
            "encipher_only": False,
            "decipher_only": False,
        }
        return (
            x509.CertificateBuilder()
            .subject_name(name(f"issuer of {number}" if issues else f"key {number}"))
            .issuer_name(name(f"issuer of {number}"))
            .public_key(owner.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(VALID_FROM)
            .not_valid_after(VALID_TO)
            .add_extension(x509.BasicConstraints(issues, 0 if issues else None), critical=True)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=not issues, key_cert_sign=issues, crl_sign=issues, **usage
                ),
                critical=True,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(owner.public_key()), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), False
            )
        )

    # C2PA asks for a purpose; among the purposes that it allows, e-mail protection is common
    purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
    leaf = certificate(key, False).add_extension(purpose, critical=False)
    chain = [made.sign(issuer, hashes.SHA256()) for made in (leaf, certificate(issuer, True))]
    pem = serialization.Encoding.PEM
    return Signer(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        b"".join(made.public_bytes(pem) for made in chain),
        new=True,
    )
