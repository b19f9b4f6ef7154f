"""A throw-away certificate authority and the certificates that it signs, as PEM files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Tls:
    """The certificate and key of a server or client, and the authority that it trusts."""

    ca: Path
    certificate: Path
    key: Path


class Authority:
    """A certificate authority for one test session.

    Args:
        folder: is created for its files, which any user may read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = trustme.CA()
        self.ca = folder / "ca.pem"
        folder.mkdir()
        self._authority.cert_pem.write_to_path(self.ca)

    def issue(self, name: str) -> Tls:
        """Sign a certificate for a host name or address, for servers and clients alike."""
        issued = self._authority.issue_cert(name)
        certificate, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        issued.cert_chain_pems[0].write_to_path(certificate)
        issued.private_key_pem.write_to_path(key)
        key.chmod(0o600)
        return Tls(self.ca, certificate, key)
