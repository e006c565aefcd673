"""The trace that a piece of work belongs to. It travels beside a message as W3C `traceparent`, and nothing else does:
baggage could hold anything.

Without a tracer (the settings name no collector) all of this costs next to nothing and writes nothing.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

KEY = "traceparent"
_FORMAT = TraceContextTextMapPropagator()
_TRACER = trace.get_tracer("endcap.relay")


def traceparent() -> str | None:
    """`00-<trace>-<span>-01` of the work that runs here; None where nobody traces it."""
    carried: dict[str, str] = {}
    _FORMAT.inject(carried)
    return carried.get(KEY)


def beside() -> dict[str, str]:
    """What to put into a message's payload, so that whoever carries it goes on with the trace."""
    found = traceparent()
    return {} if found is None else {KEY: found}


@contextmanager
def delivering(target: str, kind: str, payload: Mapping[str, Any]) -> Iterator[None]:
    """The delivery of a message, as part of the trace in its payload; one that has none is traced by itself."""
    with _TRACER.start_as_current_span(
        f"relay {kind}",
        context=_FORMAT.extract({KEY: payload.get(KEY, "")}),
        kind=SpanKind.PRODUCER,
        attributes={"endcap.target": target},
    ):
        yield
