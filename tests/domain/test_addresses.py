"""Which URLs and addresses a webhook may go to."""

import pytest

from domain.addresses import check_url, why_not
from domain.errors import Malformed
from domain.webhooks import WAITS, WebhookIn, check_type, wait_after

PUBLIC = ["93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:8.8.8.8", "64:ff9b::808:808"]
FORBIDDEN = [
    "0.0.0.0",  # noqa: S104
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.1",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.7",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::10.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:a00:1::",
    "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "no address",
]
LOOPBACK = ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"]


class TestAddress:
    @pytest.mark.parametrize("address", PUBLIC)
    def test_a_public_one_may_be_called(self, address: str) -> None:
        assert why_not(address, allow_loopback=False) is None

    @pytest.mark.parametrize("address", FORBIDDEN)
    def test_none_of_a_network_of_ours_may_not_even_in_development(self, address: str) -> None:
        assert why_not(address, allow_loopback=False) is not None
        assert why_not(address, allow_loopback=True) is not None

    @pytest.mark.parametrize("address", LOOPBACK)
    def test_this_machine_only_in_development(self, address: str) -> None:
        assert why_not(address, allow_loopback=False) == "it is this machine"
        assert why_not(address, allow_loopback=True) is None


class TestUrl:
    @pytest.mark.parametrize(
        "url", ["https://shop.example/hooks?x=1", "https://a.b.shop.example:8443", "https://93.184.215.14/h",
                "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/h"],
    )  # fmt: skip
    def test_what_may_be_registered(self, url: str) -> None:
        check_url(url, allow_local=False)

    @pytest.mark.parametrize(
        ("url", "said"),
        [
            ("http://shop.example/", "over https"),
            ("ftp://shop.example/", "over https"),
            ("file:///etc/passwd", "over https"),
            ("javascript:alert(1)", "over https"),
            ("https://", "names no host"),
            ("https:///path", "names no host"),
            ("https://user:word@shop.example/", "user and password"),
            ("https://shop.example\\@10.0.0.1/", "user and password"),
            ("https://shop.example/#part", "no server is sent"),
            ("https://shop.example:0/", "port 0"),
            ("https://shop.example:99999/", "not a URL"),
            ("https://shop .example/", "printable ASCII"),
            ("https://shop.example/\r\nX: 1", "printable ASCII"),
            ("https://sh\N{CYRILLIC SMALL LETTER O}p.example/", "printable ASCII"),
            ("https://localhost/", "this machine"),
            ("https://a.LOCALHOST./", "this machine"),
            ("https://127.0.0.1/", "this machine"),
            ("https://[::1]/", "this machine"),
            ("https://[::ffff:127.0.0.1]/", "this machine"),
            ("https://2130706433/", "usual form"),
            ("https://0x7f000001/", "usual form"),
            ("https://0x7f.1/", "usual form"),
            ("https://0177.0.0.1/", "usual form"),
            ("https://127.1/", "usual form"),
            ("https://169.254.169.254/latest/meta-data", "service of the platform"),
            ("https://10.0.0.1/", "private network"),
            ("https://[fd00:ec2::254]/", "private network"),
            ("https://-bad.example/", "names no host"),
            ("https://" + "a" * 2_000, "up to 2000"),
        ],
    )
    def test_what_may_not(self, url: str, said: str) -> None:
        with pytest.raises(Malformed, match=said):
            check_url(url, allow_local=False)

    @pytest.mark.parametrize("url", ["http://127.0.0.1:9000/", "http://localhost/h", "http://[::1]/"])
    def test_in_development_this_machine_may_be_called(self, url: str) -> None:
        check_url(url, allow_local=True)

    @pytest.mark.parametrize("url", ["http://10.0.0.1/", "http://169.254.169.254/", "http://2130706433/"])
    def test_in_development_nothing_else_of_ours_may(self, url: str) -> None:
        with pytest.raises(Malformed):
            check_url(url, allow_local=True)


class TestTypes:
    @pytest.mark.parametrize("text", ["*", "bopis.*", "bopis.ready_for_pickup", "case.opened", "refund.requested"])
    def test_what_there_is(self, text: str) -> None:
        assert check_type(text) == text

    @pytest.mark.parametrize(
        "text", ["", "bopis", "bopis.", "bopis.eaten", "Bopis.*", "orders.*", "*.*", "case.opened "]
    )
    def test_what_there_is_not(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"type is noun|has "):
            check_type(text)

    def test_a_type_given_twice_counts_once(self) -> None:
        assert WebhookIn(url="https://x.example", types=("case.*", "case.*")).types == ("case.*",)


class TestWaits:
    def test_it_is_tried_for_days_and_ends(self) -> None:
        waits = [wait_after(attempts) for attempts in range(1, len(WAITS) + 2)]
        assert waits == [*WAITS, None]
        assert sum(wait.total_seconds() for wait in WAITS) > 3 * 86_400

    def test_what_the_receiver_asks_for_makes_it_longer_never_shorter_and_a_day_at_most(self) -> None:
        seconds = [wait_after(n, asked_s=asked) for n, asked in ((1, 120), (3, 1), (1, 10**9), (1, -5))]
        assert [one.total_seconds() if one else None for one in seconds] == [120, 300, 86_400, 5]
