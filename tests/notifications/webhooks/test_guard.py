"""Nobody can make the shop speak to its own house."""

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.webhooks import guard, sending
from notifications.webhooks.guard import Refused, parsed

INSIDE = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "0.0.0.0",
    "0",
    "10.0.0.5",
    "172.16.3.4",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "192.0.0.170",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "[::1]",
    "[::]",
    "[fe80::1]",
    "[fc00::1]",
    "[fec0::1]",
    "[::ffff:0:a9fe:a9fe]",
    "[4000::1]",
    "[3fff::1]",
    "[2002:5db8:d822::]",
    "[2001:0:0:0:0:0:a247:27dd]",
    "168.63.129.16",
    "[ff02::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:a9fe:a9fe]",
    "[::127.0.0.1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b::10.0.0.1]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::]",
    "[2001:0:0:0:0:0:80ff:fffe]",
    "localhost",
    "LOCALHOST.",
    "db",
    "metadata.google.internal",
    "printer.local",
    "a.localhost",
]


@pytest.mark.parametrize("host", INSIDE)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_house_is_not_called(host, scheme):
    with pytest.raises(Refused):
        parsed(f"{scheme}://{host}/hook")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com/hook",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "https://",
        "https://user:pass@example.com/",
        "https://example.com@127.0.0.1/",
        "https://example.com:22/",
        "https://example.com:8000/",
        "https://example.com:99999/",
        "https://exa mple.com/",
        "https://example.com/\r\nX-Evil: 1",
        "https://example.com\\@127.0.0.1/",
        "https://exämple.com/",
        "https://[::1/",
        "https://-bad.example.com/",
        f"https://example.com/{'a' * 500}",
    ],
)
def test_what_is_no_address_is_refused_with_a_word(url):
    with pytest.raises(Refused, match=r"^\w"):
        parsed(url)


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://example.com", ("https", "example.com", 443, "/", "example.com")),
        ("https://Example.COM:443/a?b=c#d", ("https", "example.com", 443, "/a?b=c", "example.com")),
        ("http://hooks.example.org:80/x", ("http", "hooks.example.org", 80, "/x", "hooks.example.org")),
        ("http://example.org:443/x", ("http", "example.org", 443, "/x", "example.org:443")),
        ("https://93.184.216.34/x", ("https", "93.184.216.34", 443, "/x", "93.184.216.34")),
        ("https://[2606:4700::1111]/x", ("https", "2606:4700::1111", 443, "/x", "[2606:4700::1111]")),
    ],
)
def test_an_address_in_its_parts(url, parts):
    target = parsed(url)

    assert (target.scheme, target.host, target.port, target.path, target.authority) == parts


@given(st.ip_addresses())
def test_no_address_that_is_not_global_passes(address):
    try:
        guard.check(address)
    except Refused:
        return
    assert address.is_global
    assert not address.is_multicast


def test_a_machine_with_ipv6_only_reaches_ipv4_by_its_translator():
    guard.check(ipaddress.ip_address("64:ff9b::93.184.216.34"))


@given(st.ip_addresses(v=4).filter(lambda address: not address.is_global))
def test_no_disguise_helps_an_inner_address(address):
    for disguise in (
        int(address) | 0xFFFF << 32,
        int(address),
        int(address) | 0x64FF9B << 96,
        0x2002 << 112 | int(address) << 80,
    ):
        with pytest.raises(Refused):
            guard.check(ipaddress.IPv6Address(disguise))


class Names:
    """A resolver that changes its mind."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def __call__(self, host, port, **_):
        addresses = self.answers.pop(0)
        kind = {4: socket.AF_INET, 6: socket.AF_INET6}
        return [
            (kind[ipaddress.ip_address(address).version], socket.SOCK_STREAM, 6, "", (address, port))
            for address in addresses
        ]


def test_a_name_is_resolved_once_and_the_checked_address_is_called(monkeypatch):
    """Rebinding: the second answer would lead inside, and nobody asks for it."""
    names, called = Names(["93.184.216.34"], ["127.0.0.1"]), []
    monkeypatch.setattr(socket, "getaddrinfo", names)
    monkeypatch.setattr(socket, "create_connection", lambda where, **_: called.append(where) or _refuse())

    answer = sending.post("http://rebind.example.com/", headers={}, body="{}")

    assert called == [("93.184.216.34", 80)]
    assert (answer.status, len(names.answers)) == (0, 1)


def _refuse():
    raise ConnectionRefusedError("nobody there")


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["93.184.216.34", "10.0.0.1"], ["::1"], ["::ffff:10.0.0.1"]])
def test_a_name_that_leads_inside_is_not_called(monkeypatch, addresses):
    monkeypatch.setattr(socket, "getaddrinfo", Names(addresses))
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("it was called"))

    answer = sending.post("https://hooks.example.com/", headers={}, body="{}")

    assert (answer.status, "no public address" in answer.error) == (0, True)
