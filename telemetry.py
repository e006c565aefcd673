"""What a process says of itself: its log, and its traces where the settings name a collector for them.

Neither holds a customer's data. The log has no line per request, for addresses can hold what somebody searched for;
traces have the template of a route, never an address or what was asked for in it, and no words of an exception.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, override

import structlog
from opentelemetry import trace
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Status

if TYPE_CHECKING:
    from settings import Settings

_SERVERS = ("uvicorn", "uvicorn.error", "uvicorn.access")


def start(settings: Settings, process: str) -> None:
    """Set up logging, and tracing as service `endcap-<process>`. Called once, before anything else has begun."""
    _log(settings)
    if settings.otlp_endpoint is not None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415  0.1 s

        provider = TracerProvider(
            resource=Resource.create({SERVICE_NAME: f"endcap-{process}"}),
            sampler=ParentBased(TraceIdRatioBased(settings.trace_share)),
        )
        exporter = OTLPSpanExporter(endpoint=f"{settings.otlp_endpoint.rstrip('/')}/v1/traces")
        provider.add_span_processor(BatchSpanProcessor(WithoutWords(exporter)))
        trace.set_tracer_provider(provider)


def stop() -> None:
    """Send what is left and write out the log; for processes that leave without Python's own ending."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.shutdown()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()


# ---------------------------------------------------------------- the log
def _log(settings: Settings) -> None:
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _with_trace,
    ]
    if settings.log_format == "json":
        shared += [structlog.processors.dict_tracebacks]
        ending: Any = structlog.processors.JSONRenderer()
    else:
        ending = structlog.dev.ConsoleRenderer(
            colors=False, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
        )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _as_one_line, ending],
        )
    )
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    for name in _SERVERS:
        server = logging.getLogger(name)
        server.handlers, server.propagate = [], name != "uvicorn.access"


def _as_one_line(_logger: Any, _method: str, event: Any) -> Any:
    """What servers, providers and people wrote is in many events: it must not look like a line of its own."""
    text = str(event["event"])
    if not text.isprintable():
        event["event"] = "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)
    return event


def _with_trace(_logger: Any, _method: str, line: dict[str, Any]) -> dict[str, Any]:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        line["trace_id"] = trace.format_trace_id(context.trace_id)
    return line


# ---------------------------------------------------------------- traces
_WORDS = frozenset({"url.path", "url.query", "url.full", "exception.message", "exception.stacktrace"})


class WithoutWords(SpanExporter):
    """Hands spans on without addresses, which hold searches and the keys of links, and without the texts of exceptions,
    which may quote what failed.
    """

    def __init__(self, to: SpanExporter) -> None:
        self._to = to

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._to.export([_without_words(span) for span in spans])

    @override
    def shutdown(self) -> None:
        self._to.shutdown()

    @override
    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._to.force_flush(timeout_millis)


def _without_words(span: ReadableSpan) -> ReadableSpan:
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=_kept(span.attributes),
        events=[Event(one.name, _kept(one.attributes), one.timestamp) for one in span.events],
        links=span.links,
        kind=span.kind,
        instrumentation_scope=span.instrumentation_scope,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
    )


def _kept(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (attributes or {}).items() if name not in _WORDS}
