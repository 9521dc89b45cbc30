"""Where a call comes from, as far as anybody can be believed."""

from __future__ import annotations

import pytest

from modelyard.access.addresses import address_of, site_of

PROXIES = ("10.0.0.0/8", "::1", "192.0.2.7")


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "address"),
    [
        ("203.0.113.9", None, "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # not a proxy of ours: whatever it says
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"),  # the caller made the first one up
        ("10.0.0.1", "198.51.100.1, 192.0.2.7,10.1.2.3", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "198.51.100.1, nonsense", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, nonsense, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("::1", "[2001:DB8::5]:4711", "2001:db8::5"),
        ("::1", "2001:db8::5", "2001:db8::5"),
        ("::ffff:10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("", "198.51.100.1", ""),
        ("10.0.0.1", "1" * 5000, "10.0.0.1"),
    ],
)
def test_only_what_a_trusted_proxy_saw_itself_is_believed(peer: str, forwarded_for: str | None, address: str) -> None:
    assert address_of(peer, forwarded_for, PROXIES) == address


def test_without_trusted_proxies_the_header_means_nothing() -> None:
    assert address_of("10.0.0.1", "198.51.100.1", ()) == "10.0.0.1"


def test_an_ipv6_customer_is_one_caller() -> None:
    assert site_of("2001:db8:0:1::5") == site_of("2001:db8:0:1:ffff::9") != site_of("2001:db8:0:2::5")
    assert site_of("fe80::1%eth0") == site_of("fe80::2%eth0")
    assert site_of("198.51.100.1") == "198.51.100.1"
    assert site_of("no:address") == "no:address"
