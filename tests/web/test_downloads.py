"""Files under names that systems choose: a header of one line and one name, whatever the name."""

from urllib.parse import quote

import httpx2
import pytest

from tests.web.funding import agreement_at, promoted_at
from tests.web.test_api_funding import AGREEMENTS
from web.downloads import saved_as


class TestHeader:
    @pytest.mark.parametrize("name", ["claim-A-17-1.csv", "cases-20300101-1200Z.csv"])
    def test_a_plain_name_is_said_as_it_is(self, name: str) -> None:
        assert saved_as(name) == {"Content-Disposition": f'attachment; filename="{name}"'}

    @pytest.mark.parametrize(
        ("name", "plain", "whole"),
        [
            ('a"; filename="b.exe', "a__ filename__b.exe", "a%22%3B%20filename%3D%22b.exe"),
            ("a\r\nSet-Cookie: x=y", "a__Set-Cookie_ x_y", "a%0D%0ASet-Cookie%3A%20x%3Dy"),
            ("../../etc/passwd", ".._.._etc_passwd", "..%2F..%2Fetc%2Fpasswd"),
            ("\u5354.csv", "_.csv", "%E5%8D%94.csv"),
        ],
    )
    def test_no_name_breaks_it(self, name: str, plain: str, whole: str) -> None:
        assert saved_as(name) == {"Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{whole}"}


class TestClaims:
    @pytest.mark.parametrize("number", ['A"17;x=\u5354', "A-\u20ac"])
    async def test_the_papers_of_a_claim_of_any_number_are_sent(self, web: httpx2.AsyncClient, number: str) -> None:
        made = await web.post(AGREEMENTS, json=agreement_at("S1", number=number))
        assert made.status_code == 201, made.text
        assert (await web.post("/api/v1/events", json={"events": [promoted_at("S1")]})).status_code == 200
        claimed = await web.post(
            httpx2.URL(f"http://endcap.test{AGREEMENTS}").join(f"funding-agreements/{number}:claim")
        )
        assert claimed.status_code == 201, claimed.text
        claim = claimed.json()["claim_id"]
        for end in ("lines.csv", "proof.csv", "document.pdf"):
            paper = await web.get(f"/api/v1/claims/{quote(claim, safe='')}/{end}")
            assert paper.status_code == 200, paper.text
            assert paper.headers["content-disposition"].startswith("attachment; filename=")
