"""Payloads are sealed, keys are rotated, and damage is named."""

from __future__ import annotations

import os

import pytest
from temporalio.api.common.v1 import Payload

import wire
from domain.messages import Situation

OLD, NEW = os.urandom(32), os.urandom(32)
SITUATION = Situation(subject="bopis:web:W-1", state="reserved")


class TestSealing:
    async def test_what_is_sealed_shows_nothing_and_opens_again(self) -> None:
        converter = wire.data_converter({"a": NEW})
        (sealed,) = await converter.encode([SITUATION])
        assert b"W-1" not in sealed.SerializeToString()
        assert sealed.metadata["endcap-key"] == b"a"
        assert await converter.decode([sealed], [Situation]) == [SITUATION]

    async def test_two_payloads_of_one_content_differ(self) -> None:
        converter = wire.data_converter({"a": NEW})
        first, second = [(await converter.encode([SITUATION]))[0] for _ in range(2)]
        assert first.data != second.data

    async def test_the_text_of_a_failure_is_sealed_too(self) -> None:
        from temporalio.api.failure.v1 import Failure
        from temporalio.exceptions import ApplicationError

        failure = Failure()
        await wire.data_converter({"a": NEW}).encode_failure(ApplicationError("card of Ana Ruiz"), failure)
        assert b"Ana Ruiz" not in failure.SerializeToString()

    async def test_what_was_never_sealed_is_left_as_it_is(self) -> None:
        plain = Payload(metadata={"encoding": b"json/plain"}, data=b"1")
        assert await wire.SealedPayloads({"a": NEW}).decode([plain]) == [plain]


class TestRotation:
    async def test_the_first_key_seals_and_older_keys_still_open(self) -> None:
        (old,) = await wire.data_converter({"old": OLD}).encode([SITUATION])
        rotated = wire.data_converter({"new": NEW, "old": OLD})
        (fresh,) = await rotated.encode([SITUATION])
        assert fresh.metadata["endcap-key"] == b"new"
        assert await rotated.decode([old, fresh], [Situation, Situation]) == [SITUATION, SITUATION]

    async def test_a_key_that_is_gone_is_named(self) -> None:
        (old,) = await wire.data_converter({"old": OLD}).encode([SITUATION])
        with pytest.raises(wire.UnknownPayloadKeyError, match="'old'"):
            await wire.data_converter({"new": NEW}).decode([old], [Situation])

    async def test_another_key_under_the_same_name_is_refused(self) -> None:
        (sealed,) = await wire.data_converter({"a": OLD}).encode([SITUATION])
        with pytest.raises(ValueError, match="does not open"):
            await wire.data_converter({"a": NEW}).decode([sealed], [Situation])

    async def test_a_damaged_payload_is_refused(self) -> None:
        converter = wire.data_converter({"a": NEW})
        (sealed,) = await converter.encode([SITUATION])
        sealed.data = sealed.data[:-1] + bytes([sealed.data[-1] ^ 1])
        with pytest.raises(ValueError, match="does not open"):
            await converter.decode([sealed], [Situation])

    def test_a_ring_without_keys_is_refused(self) -> None:
        with pytest.raises(ValueError, match="at least one key"):
            wire.SealedPayloads({})


class TestAddresses:
    @pytest.mark.parametrize("address", ["127.0.0.1:7233", "localhost:7233", "[::1]:7233"])
    def test_this_machine_is_not_compressed_for(self, address: str) -> None:
        assert wire.is_loopback(address)

    @pytest.mark.parametrize("address", ["temporal:7233", "10.0.0.7:7233"])
    def test_other_machines_are(self, address: str) -> None:
        assert not wire.is_loopback(address)
