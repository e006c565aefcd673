"""How Endcap's processes speak to Temporal: converter, encryption of payloads, sandbox, connection.

It starts no workflow and knows no journey. Worker, relay and tests take their client and their runner from here, so
that a history which one of them wrote can be read by all of them.
"""

import asyncio
import dataclasses
import logging
import os
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes, PayloadCodec
from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.service import GrpcCompression, RPCError, RPCStatusCode
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import SandboxImportNotificationPolicy

ENCODING = b"binary/encrypted"
CIPHER = b"AES-256-GCM"
_NONCE_BYTES = 12
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 5.0

logger = logging.getLogger("endcap.wire")

# The server is away or overloaded, which says nothing about the message: the message is not to blame.
AWAY = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.ABORTED,
    }
)


def is_too_large(error: RPCError) -> bool:
    """Whether the message itself is to blame for RESOURCE_EXHAUSTED: it is larger than gRPC lets through at all."""
    return error.status is RPCStatusCode.RESOURCE_EXHAUSTED and "larger than max" in error.message


def search_attributes(search: Mapping[str, str]) -> TypedSearchAttributes:
    """`{"location": "S1"}` as what the Temporal UI can be searched by: `EndcapLocation`."""
    keys = {name: SearchAttributeKey.for_keyword(f"Endcap{name.capitalize()}") for name in search}
    return TypedSearchAttributes([SearchAttributePair(keys[name], value) for name, value in search.items()])


class Pressure:
    """How many calls Temporal takes at once, by its own word (RESOURCE_EXHAUSTED).

    Each time it is too much, half as many, after a pause that doubles; each call that it takes allows one more.
    `now` is a monotonic clock in seconds.
    """

    FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0

    def __init__(self, most: int) -> None:
        self.most = most
        self.allowed = most
        self.pause_s = 0.0
        self._rests_until = 0.0

    def pushed_back(self, now: float) -> None:
        """Temporal has refused a call. Calls that were under way together are refused together, and count once."""
        if now < self._rests_until:
            return
        self.allowed = max(self.allowed // 2, 1)
        logger.warning("Temporal pushes back: %d calls at once from now on", self.allowed)
        self.pause_s = min(max(self.pause_s * 2, self.FIRST_PAUSE_S), self.LONGEST_PAUSE_S)
        self._rests_until = now + self.pause_s

    def took(self, now: float) -> None:
        """Temporal has taken a call."""
        if now < self._rests_until:
            return
        self.allowed = min(self.allowed + 1, self.most)
        if self.allowed == self.most:
            self.pause_s = 0.0

    def rest_s(self, now: float) -> float:
        """Seconds in which nothing should be sent; 0 when it may go on."""
        return max(self._rests_until - now, 0.0)


class UnknownPayloadKeyError(RuntimeError):
    """A payload was encrypted with a key that this process was not given."""


class SealedPayloads(PayloadCodec):
    """Encrypts every payload with the first key of the ring, and decrypts with whichever key a payload names.

    To rotate, put a new key first and keep the old one until the last history written with it is gone.
    """

    def __init__(self, keyring: Mapping[str, bytes]) -> None:
        if not keyring:
            raise ValueError("the payload codec needs at least one key")
        self._ciphers = {name: AESGCM(key) for name, key in keyring.items()}
        self._current = next(iter(keyring))

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Seal whole payloads, their metadata included."""
        return [self._seal(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Open what is sealed and leave the rest as it is. Raises `UnknownPayloadKeyError`, ValueError."""
        return [self._open(payload) for payload in payloads]

    def _seal(self, payload: Payload) -> Payload:
        nonce = os.urandom(_NONCE_BYTES)
        name = self._current.encode()
        sealed = self._ciphers[self._current].encrypt(nonce, payload.SerializeToString(), name)
        return Payload(
            metadata={"encoding": ENCODING, "cipher": CIPHER, "endcap-key": name},
            data=nonce + sealed,
        )

    def _open(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        name = payload.metadata["endcap-key"].decode()
        cipher = self._ciphers.get(name)
        if cipher is None:
            raise UnknownPayloadKeyError(
                f"No key {name!r} among ENDCAP_PAYLOAD_KEYS: an old key stays until its last history is gone."
            )
        nonce, sealed = payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:]
        try:
            return Payload.FromString(cipher.decrypt(nonce, sealed, name.encode()))
        except InvalidTag as error:
            raise ValueError(f"A payload does not open with the key {name!r}: one of them was changed.") from error


def data_converter(keyring: Mapping[str, bytes]) -> DataConverter:
    """Pydantic models as JSON, sealed; the texts of failures are sealed as well, since they may quote what failed."""
    return dataclasses.replace(
        pydantic_data_converter,
        payload_codec=SealedPayloads(keyring),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


def workflow_runner() -> SandboxedWorkflowRunner:
    """The sandbox in which tests and replays run workflows: an import that was not passed through is an error, and so
    is whatever a replay would not see again.
    """
    policy = (
        SandboxImportNotificationPolicy.WARN_ON_DYNAMIC_IMPORT
        | SandboxImportNotificationPolicy.RAISE_ON_UNINTENTIONAL_PASSTHROUGH
    )
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_import_notification_policy(policy))


class ProvedRunner(WorkflowRunner):
    """How worker processes run workflows: each definition is loaded in the sandbox once, when the worker starts, and
    runs outside of it.

    Loading finds imports that the sandbox was not told about. That workflows read no clock and draw nothing by chance
    is held by lint and by every test and replay, which run in the sandbox; holding it again in each journey took two
    fifths of a worker's processor.
    """

    def __init__(self) -> None:
        self._sandbox = workflow_runner()
        self._plain = UnsandboxedWorkflowRunner()

    def prepare_workflow(self, defn: Any) -> None:
        """Raises what a definition that the sandbox refuses raises there."""
        self._sandbox.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """An instance outside of the sandbox."""
        return self._plain.create_instance(det)

    def set_worker_level_failure_exception_types(self, types: Sequence[type[BaseException]]) -> None:
        """What the sandbox is told of the worker."""
        self._sandbox.set_worker_level_failure_exception_types(types)


def quiet_runtime() -> Runtime:
    """Temporal's own core writes to standard output unless told otherwise; here it goes through Python's logging."""
    forwarding = LogForwardingConfig(logger=logging.getLogger("temporalio.core"), append_target_to_name=False)
    telemetry = TelemetryConfig(
        logging=LoggingConfig(TelemetryFilter(core_level="WARN", other_level="ERROR"), forwarding=forwarding)
    )
    return Runtime(telemetry=telemetry)


def is_loopback(address: str) -> bool:
    """True for an address on this machine, where compressing costs more than it saves."""
    host = address.rsplit(":", 1)[0].strip("[]")
    return host in {"localhost", "::1"} or host.startswith("127.")


async def connect(
    address: str,
    *,
    namespace: str,
    keyring: Mapping[str, bytes],
    identity: str,
    runtime: Runtime | None = None,
    is_traced: bool = False,
) -> Client:
    """A client, as soon as Temporal answers; it is asked again with growing pauses for as long as it takes.

    `is_traced`: what it starts and signals, and the workers that use it, take part in the trace of whoever asks.
    """
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            return await Client.connect(
                address,
                namespace=namespace,
                data_converter=data_converter(keyring),
                identity=identity,
                runtime=runtime,
                interceptors=[TracingInterceptor()] if is_traced else [],
                grpc_compression=GrpcCompression.NONE if is_loopback(address) else GrpcCompression.GZIP,
            )
        except (RPCError, RuntimeError) as error:  # RuntimeError is the library's word for "could not connect"
            logger.warning("Temporal at %s does not answer yet (%s); asked again in %.1f s", address, error, pause_s)
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


async def unless_stopped[T](what: Awaitable[T], stop: asyncio.Event) -> T | None:
    """The result of `what`; None when `stop` is set first, and then `what` is cancelled."""
    doing, stopping = asyncio.ensure_future(what), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return doing.result() if doing.done() else None
    finally:
        for task in (doing, stopping):
            task.cancel()
        await asyncio.gather(doing, stopping, return_exceptions=True)
