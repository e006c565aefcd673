"""Payment providers: yes, no, and no answer; and that one key moves money once."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from ports.payment import HttpPaymentProvider, PaymentRequest, SandboxPaymentProvider


def refund(amount_minor: int = 1_500, operation: str = "bopis:web:W-1/refund/1") -> PaymentRequest:
    return PaymentRequest(operation, "refund", "card-77", "card", amount_minor, "EUR")


type Answering = Callable[[httpx2.Request], httpx2.Response]


def provider(answering: Answering) -> HttpPaymentProvider:
    return HttpPaymentProvider("https://pay.example/v1/", "key-1", transport=httpx2.MockTransport(answering))


class TestOverHttp:
    async def test_the_request_is_what_the_contract_says(self) -> None:
        seen: list[httpx2.Request] = []

        def answering(request: httpx2.Request) -> httpx2.Response:
            seen.append(request)
            return httpx2.Response(200, json={"reference": "R-9"})

        outcome = await provider(answering).carry_out(refund())
        assert (outcome.state, outcome.reference) == ("succeeded", "R-9")
        (request,) = seen
        assert (request.method, str(request.url)) == ("POST", "https://pay.example/v1/refund")
        assert request.headers["Idempotency-Key"] == "bopis:web:W-1/refund/1"
        assert request.headers["Authorization"] == "Bearer key-1"
        assert json.loads(request.content) == {
            "operation_id": "bopis:web:W-1/refund/1",
            "payment_reference": "card-77",
            "tender": "card",
            "amount_minor": 1_500,
            "currency": "EUR",
        }

    @pytest.mark.parametrize(
        ("said", "until"),
        [("2026-03-02T10:00:00Z", datetime(2026, 3, 2, 10, tzinfo=UTC)), ("2026-03-02T10:00:00", None), ("soon", None)],
    )
    async def test_a_renewal_may_say_until_when_it_holds(self, said: str, until: datetime | None) -> None:
        asked = PaymentRequest("renew:1", "renew", "card-77", "card", 1_500, "EUR")
        outcome = await provider(lambda _: httpx2.Response(200, json={"authorized_until": said})).carry_out(asked)
        assert (outcome.state, outcome.authorized_until) == ("succeeded", until)

    async def test_an_empty_yes_is_a_yes(self) -> None:
        assert (await provider(lambda _: httpx2.Response(204)).carry_out(refund())).state == "succeeded"

    async def test_402_is_a_no_with_its_reason(self) -> None:
        outcome = await provider(lambda _: httpx2.Response(402, json={"reason": "card expired"})).carry_out(refund())
        assert (outcome.state, outcome.error) == ("declined", "card expired")

    async def test_402_without_a_reason_still_says_something(self) -> None:
        outcome = await provider(lambda _: httpx2.Response(402, text="no")).carry_out(refund())
        assert (outcome.state, outcome.error) == ("declined", "declined by the provider")

    @pytest.mark.parametrize("status", [301, 400, 401, 404, 409, 429, 500, 503])
    async def test_anything_else_is_unknown(self, status: int) -> None:
        answer = httpx2.Response(status, headers={"location": "https://elsewhere.example"})
        outcome = await provider(lambda _: answer).carry_out(refund())
        assert (outcome.state, outcome.error) == ("unknown", f"answered {status}")

    @pytest.mark.parametrize("error", [httpx2.ReadTimeout("slow"), httpx2.ConnectError("refused")])
    async def test_no_answer_is_unknown_and_never_raised(self, error: httpx2.HTTPError) -> None:
        def silent(_: httpx2.Request) -> httpx2.Response:
            raise error

        outcome = await provider(silent).carry_out(refund())
        assert outcome.state == "unknown"
        assert type(error).__name__ in (outcome.error or "")


class TestTheSandbox:
    @pytest.fixture
    def record(self, tmp_path: Path) -> Path:
        return tmp_path / "made" / "sandbox.sqlite"

    async def test_it_says_yes_and_says_it_again(self, record: Path) -> None:
        sandbox = SandboxPaymentProvider(record)
        first, second = await sandbox.carry_out(refund()), await sandbox.carry_out(refund())
        assert first == second
        assert first.state == "succeeded"

    async def test_amounts_that_end_in_13_are_declined_each_time(self, record: Path) -> None:
        sandbox = SandboxPaymentProvider(record)
        answers = [await sandbox.carry_out(refund(2_013)) for _ in range(2)]
        assert [answer.state for answer in answers] == ["declined", "declined"]

    async def test_the_first_answer_to_amounts_that_end_in_17_is_lost_even_over_a_restart(self, record: Path) -> None:
        assert (await SandboxPaymentProvider(record).carry_out(refund(2_017))).state == "unknown"
        assert (await SandboxPaymentProvider(record).carry_out(refund(2_017))).state == "succeeded"

    async def test_a_key_that_comes_back_with_another_amount_is_declined(self, record: Path) -> None:
        sandbox = SandboxPaymentProvider(record)
        await sandbox.carry_out(refund(1_500))
        assert (await sandbox.carry_out(refund(1_600))).state == "declined"
        assert (await sandbox.carry_out(refund(1_500))).state == "succeeded"

    async def test_while_it_cannot_write_the_outcome_is_unknown_and_the_same_key_is_asked_again(
        self, record: Path
    ) -> None:
        sandbox = SandboxPaymentProvider(record)
        kept = record.read_bytes()
        record.unlink()
        record.mkdir()
        outcome = await sandbox.carry_out(refund())
        assert outcome.state == "unknown"
        assert "cannot write its record" in (outcome.error or "")
        record.rmdir()
        record.write_bytes(kept)
        assert (await sandbox.carry_out(refund())).state == "succeeded"

    async def test_two_keys_are_two_operations(self, record: Path) -> None:
        sandbox = SandboxPaymentProvider(record)
        assert (await sandbox.carry_out(refund(2_017, "a"))).state == "unknown"
        assert (await sandbox.carry_out(refund(2_017, "b"))).state == "unknown"
