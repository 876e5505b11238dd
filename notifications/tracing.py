"""OpenTelemetry: one trace from the request over its events to their handlers, wherever they run.

Nothing is loaded and nothing costs anything until OTEL_EXPORTER_OTLP_ENDPOINT says where spans go. An event carries
its publisher's `traceparent` (W3C Trace Context), as it carries the correlation id.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

SERVICE: Final = "waybill"

_tracer: Any = None  # opentelemetry.trace.Tracer, once `send_to` or `use` was called


def send_to(endpoint: str) -> None:
    """Spans go to the collector at this address, over HTTP, in batches and from a thread of its own."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    use(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")))


def use(processor: Any) -> None:
    """Hand every span that ends to this span processor of the SDK."""
    global _tracer
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider(resource=Resource.create({"service.name": SERVICE}))
    provider.add_span_processor(processor)
    _tracer = provider.get_tracer(SERVICE)


def stop() -> None:
    """No more spans in this process."""
    global _tracer
    _tracer = None


def traceparent() -> str:
    """Where we are, for who goes on elsewhere; empty when nothing is traced."""
    if _tracer is None:
        return ""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent", "")


@contextmanager
def span(name: str, *, kind: str = "INTERNAL", parent: str = "", **facts: str | int) -> Iterator[Any]:
    """What happens inside is a span; yields it, or None when nothing is traced.

    kind: SERVER, CONSUMER, CLIENT or INTERNAL. parent: a traceparent; without one, the span around this one. facts:
    its attributes, with a dot for each double underscore. An exception that passes is recorded.
    """
    if _tracer is None:
        yield None
        return
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    around = TraceContextTextMapPropagator().extract({"traceparent": parent}) if parent else None
    attributes = {key.replace("__", "."): value for key, value in facts.items()}
    with _tracer.start_as_current_span(name, context=around, kind=SpanKind[kind], attributes=attributes) as opened:
        yield opened


def failed(error: Exception) -> None:
    """The span we are in did not go well; `error` is told with it, and goes no further."""
    if _tracer is None:
        return
    from opentelemetry.trace import Status, StatusCode, get_current_span

    get_current_span().record_exception(error)
    get_current_span().set_status(Status(StatusCode.ERROR, type(error).__qualname__))
