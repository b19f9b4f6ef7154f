"""SSRF (server-side request forgery) guard: inputs over HTTP are read from public addresses only.

The guard resolves a host once and connects to an address that it has checked, so DNS rebinding cannot swap the
address in between. It refuses private, loopback, link-local and cloud metadata addresses, also behind a redirect,
unless a setting or a root allows them.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import httpcore

from workers.files.errors import InputNotAllowed

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: Not private by the registry, yet reachable only from inside a network, such as Azure's metadata service.
_INSIDE = (ip_network("168.63.129.16/32"), ip_network("100.64.0.0/10"), ip_network("192.0.0.0/24"))
#: IPv6 addresses that stand for the IPv4 address in their last four bytes.
_TRANSLATED = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"), ip_network("::/96"))
_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


def networks(text: str) -> tuple[Network, ...]:
    """Parse comma-separated addresses and networks, e.g. `10.1.0.0/16, fd00::/8`. Raise `ValueError`."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def networks_named_by_root(host: str) -> tuple[Network, ...]:
    """Return the addresses that a root allows by naming them: its host's own, or loopback for `localhost`."""
    if host == "localhost":
        return _LOOPBACK
    try:
        return (ip_network(host),)
    except ValueError:
        return ()


def is_public(address: Address) -> bool:
    """Return whether the address, and every address that it maps to, is public."""
    for meant in _meanings(address):
        if meant.is_multicast or not meant.is_global or any(_in(meant, network) for network in _INSIDE):
            return False
    return True


class SsrfGuardBackend(httpcore.NetworkBackend):
    """An httpcore backend that connects to public addresses, and to others only where they are allowed.

    Args:
        allowed: private networks that may be reached.
        named: private networks that only the host of the same key may resolve to.
    """

    def __init__(self, allowed: Sequence[Network], named: dict[str, tuple[Network, ...]]) -> None:
        self._allowed = tuple(allowed)
        self._named = named
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address of the host that answers.

        Raises:
            InputNotAllowed: the host has none that may be reached.
            httpcore.ConnectError, httpcore.ConnectTimeout
        """
        failure: Exception = InputNotAllowed(
            "the URI's host is inside the network, where inputs may not be read"
        )
        for address in self._addresses(host, port):
            try:
                return self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def _addresses(self, host: str, port: int) -> Iterator[str]:
        try:
            addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(f"no address ({type(error).__name__})") from None
        allowed = self._allowed + self._named.get(host, ())
        for *_, endpoint in addresses:
            address = ip_address(str(endpoint[0]).partition("%")[0])
            if is_public(address) or any(_in(address, network) for network in allowed):
                yield str(endpoint[0])


def _meanings(address: Address) -> Iterator[Address]:
    yield address
    if isinstance(address, IPv6Address):
        for meant in (address.ipv4_mapped, address.sixtofour, *(address.teredo or ())):
            if meant is not None:
                yield meant
        if any(address in network for network in _TRANSLATED):
            yield IPv4Address(int(address) & 0xFFFFFFFF)


def _in(address: Address, network: Network) -> bool:
    return address.version == network.version and address in network
