import pytest

from services.outbound.address import are_public, is_public


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "168.63.129.16"),  # noqa: S104 - an address to refuse
        *("169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1"),
        *("198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1"),
        "255.255.255.255",
        *("::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::8.8.8.8"),
        *("64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::1", "3fff::1"),
        *("fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "5f00::1"),
        *("", "localhost", "127.1", "2130706433", "0x7f.0.0.1", "8.8.8.8 ", "2606:4700::1%eth0"),
    ],
)
def test_address_that_is_not_public_is_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "223.255.255.1",
        ),
        *("223.255.255.1", "2606:4700::1111", "2001:4860:4860::8888", "2a00:1450::1"),
    ],
)
def test_public_address_is_accepted(address: str) -> None:
    assert is_public(address)


def test_one_private_address_among_public_ones_spoils_them_all() -> None:
    assert are_public(["8.8.8.8", "1.1.1.1"])
    assert not are_public(["8.8.8.8", "127.0.0.1"])
    assert not are_public([])
