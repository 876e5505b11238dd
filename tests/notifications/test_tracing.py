"""One trace from the request over its events to their handlers; and nothing at all where none is asked for."""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from notifications import tracing
from notifications.models import Event
from notifications.pipeline.retries import Permanent
from tests.api.programs import Program, staff
from tests.notifications.pipeline.conftest import ParcelPacked, subscribe
from tests.rig import CHECKOUT

__all__ = ["subscribe"]
ADA = {"email": "ada@example.org", "password": "correct horse battery staple", "name": "Ada", "newsletter": True}


@pytest.fixture
def spans():
    exporter = InMemorySpanExporter()
    tracing.use(SimpleSpanProcessor(exporter))
    yield exporter.get_finished_spans
    tracing.stop()


def run(code, folder, **env):
    env |= {"DJANGO_SETTINGS_MODULE": "config.settings", "WAYBILL_DATA": str(folder)}
    argv = [sys.executable, "-c", code]
    return subprocess.run(argv, cwd=CHECKOUT, env=env, capture_output=True, text=True, check=True, timeout=60).stdout


def named(spans, name):
    [found] = [span for span in spans() if span.name == name]
    return found


def test_a_request_its_event_its_handlers_and_what_those_cause_are_one_trace(transactional_db, spans, deliver_due):
    answer = Program(staff(), ["customers:write"]).post("accounts/", ADA)
    deliver_due()

    request = named(spans, "POST /api/v1/accounts/")
    welcome = named(spans, "accounts.email_welcome")
    letters = [span for span in spans() if span.name == "notifications.send_letter"]
    assert request.attributes["http.response.status_code"] == 202
    assert request.attributes["waybill.request_id"] == answer["X-Request-ID"]
    assert welcome.parent.span_id == request.context.span_id
    assert {span.context.trace_id for span in spans()} == {request.context.trace_id}
    assert welcome.context.span_id in {letter.parent.span_id for letter in letters}
    assert welcome.attributes["waybill.event"] == "user.registered"
    assert welcome.attributes["messaging.message.conversation_id"] == answer["X-Request-ID"]


def test_a_handler_that_fails_says_so_in_its_span(transactional_db, spans, subscribe, run_handler):
    @subscribe(ParcelPacked)
    def work(event):
        raise Permanent("the depot is closed")

    run_handler(work, ParcelPacked(parcel_id=1))

    span = named(spans, "tests.work")
    assert (span.status.status_code.name, span.status.description) == ("ERROR", "Permanent")
    assert span.events[0].attributes["exception.message"] == "the depot is closed"


def test_no_address_with_a_key_in_it_is_told(client, transactional_db, spans):
    client.get("/newsletter/leave/a-secret-token/?key=another")

    [span] = spans()
    assert span.name == "GET /newsletter/leave/<str:token>/"
    assert "secret" not in json.dumps(dict(span.attributes))


def test_without_a_collector_nothing_is_traced_and_nothing_loaded(transactional_db, tmp_path):
    Program(staff(), ["customers:write"]).post("accounts/", ADA)

    assert {event.traceparent for event in Event.objects.all()} == {""}
    code = "import django, sys; django.setup(); print([m for m in sys.modules if m.startswith('opentelemetry')])"
    env = {"DJANGO_SETTINGS_MODULE": "config.settings", "PATH": "/usr/bin:/bin"}
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, env=env, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"


def test_spans_arrive_at_a_collector(tmp_path):
    heard = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.append((self.path, ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    code = (
        "import django; django.setup()\n"
        "from notifications import tracing\n"
        "with tracing.span('a step', waybill__number=7): pass\n"
    )
    run(code, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{server.server_port}/")
    server.shutdown()
    server.server_close()

    [(path, told)] = heard
    [span] = told.resource_spans[0].scope_spans[0].spans
    service = {one.key: one.value.string_value for one in told.resource_spans[0].resource.attributes}["service.name"]
    assert (path, span.name, service) == ("/v1/traces", "a step", "waybill")
