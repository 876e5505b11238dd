"""Which addresses we call: only those anybody on the internet can reach. The rest is our own house (SSRF).

An address is looked at twice. When it is written down, for its form; and at each call, when its name is resolved and
the connection goes to the very IP address that was checked, so that a name cannot change its mind in between.
"""

import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings

PORTS: Final = {"https": 443, "http": 80}
LONGEST: Final = 500  # characters
_HOST: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?", re.IGNORECASE)
_OF_THE_HOUSE: Final = (".localhost", ".local", ".internal", ".lan", ".home", ".corp", ".localdomain", ".home.arpa")
# Forbidden beyond what Python's tables of this or that release call not global: platform services of a cloud,
# shared and special ranges, and IPv6 addresses that carry an IPv4 address inside (6to4, Teredo).
_MORE: Final = [
    ipaddress.ip_network(net)
    for net in ("192.0.0.0/24", "100.64.0.0/10", "168.63.129.16/32", "2002::/16", "2001::/32", "3fff::/20")
]
_PUBLIC_IPV6: Final = ipaddress.ip_network("2000::/3")
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")  # how a machine with IPv6 only reaches IPv4

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Refused(ValueError):
    """We do not call this address; the message says why, as half a sentence about it."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A checked address in its parts. `path` has the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """What belongs into the `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


def parsed(url: str) -> Target:
    """What `url` names, checked as far as its text can be. Raises Refused."""
    if len(url) > LONGEST:
        raise Refused(f"is longer than {LONGEST} characters")
    if any(character <= " " or character > "~" or character == "\\" for character in url):
        raise Refused("may hold visible ASCII characters only")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError as error:
        raise Refused("is not an address") from error
    if parts.scheme not in PORTS:
        raise Refused("must begin with https:// or http://")
    if "@" in parts.netloc or not host:
        raise Refused("must name a host, without a user or password before it")
    if port is not None and port not in PORTS.values() and not settings.WEBHOOKS_TO_PRIVATE:
        raise Refused("may use port 443 or 80 only")
    _check_host(host)
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return Target(scheme=parts.scheme, host=host, port=port or PORTS[parts.scheme], path=path)


def _check_host(host: str) -> None:
    literal = _literal(host)
    if literal is not None:
        check(literal)
        return
    if not _HOST.fullmatch(host) or len(host) > 253:
        raise Refused("does not name a host")
    name = host.rstrip(".")
    inside = "." not in name or name.endswith(_OF_THE_HOUSE)
    if inside and not settings.WEBHOOKS_TO_PRIVATE:
        raise Refused("names a machine that only its own network knows")


def _literal(host: str) -> Address | None:
    """The IP address that `host` spells, in any way a resolver would take it: 127.1, 0x7f000001, 2130706433."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    try:
        return ipaddress.ip_address(socket.inet_aton(host))
    except OSError:
        return None


def check(address: Address) -> None:
    """Raises Refused for an address that is not one of the open internet."""
    if settings.WEBHOOKS_TO_PRIVATE:
        return
    if address.version == 6 and address in _NAT64:
        address = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    inside = any(address in net for net in _MORE if net.version == address.version)
    elsewhere = address.version == 6 and address not in _PUBLIC_IPV6
    if inside or elsewhere or address.is_multicast or not address.is_global:
        raise Refused("leads to no public address")


def resolved(target: Target) -> str:
    """The IP address to connect to. Raises Refused when any that the name has is not public; OSError without an answer.

    All of them are checked: a name with one good and one bad address is somebody's trick, or somebody's mistake.
    """
    found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    addresses = [str(where[0]).partition("%")[0] for *_, where in found]
    for address in addresses:
        check(ipaddress.ip_address(address))
    return addresses[0]
