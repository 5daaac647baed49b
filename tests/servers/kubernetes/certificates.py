"""One CA and all certificates and keys of a control plane, as files: EC P-256, strict enough for Python 3.13."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bot.demo.cluster.certificates import certificate_builder, key_usage

SERVER_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "127.0.0.1", "10.0.0.1")


@dataclass(frozen=True, slots=True)
class Authority:
    """The CA; it writes NAME.crt and NAME.key into `folder`."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    name: x509.Name

    @property
    def file(self) -> Path:
        return self.folder / "ca.crt"

    def write_client(self, file: str, *, name: str, group: str | None = None) -> None:
        """`name` is the user, `group` the group that the API server sees."""
        organization = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
        subject = x509.Name([*organization, x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._write(file, subject, usage=ExtendedKeyUsageOID.CLIENT_AUTH, names=())

    def write_server(self, file: str, *, names: Sequence[str]) -> None:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, file)])
        self._write(file, subject, usage=ExtendedKeyUsageOID.SERVER_AUTH, names=names)

    def _write(self, file: str, subject: x509.Name, *, usage: x509.ObjectIdentifier, names: Sequence[str]) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            certificate_builder(subject, self.name, key.public_key(), _now())
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .add_extension(key_usage(is_ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general(one) for one in names]), False)
        certificate = builder.sign(self.key, hashes.SHA256())
        (self.folder / f"{file}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        _write_key(self.folder / f"{file}.key", key)


def new_authority(folder: Path) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "testservers-ca")])
    certificate = (
        certificate_builder(name, name, key.public_key(), _now())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(key_usage(is_ca=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    authority = Authority(folder, key, name)
    authority.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return authority


def write_token_keys(folder: Path) -> None:
    """sa.key signs the tokens of service accounts, sa.pub verifies them."""
    key = ec.generate_private_key(ec.SECP256R1())
    _write_key(folder / "sa.key", key)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / "sa.pub").write_bytes(public)


def _write_key(file: Path, key: ec.EllipticCurvePrivateKey) -> None:
    file.touch(mode=0o600)
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
