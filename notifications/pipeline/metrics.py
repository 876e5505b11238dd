"""The pipeline in figures, for Prometheus: read from the tables, so the same whichever process is asked."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import Count
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from notifications.pipeline.health import pipeline_health
from notifications.pipeline.latency import RECENT, Spread, latencies
from notifications.pipeline.models import Attempt, Brake, Delivery


class PipelineCollector(Collector):
    def collect(self) -> Iterator[GaugeMetricFamily]:
        health, now = pipeline_health(), timezone.now()
        yield _gauge("waybill_waiting", "Deliveries that are due and wait.", health.waiting)
        yield _gauge("waybill_oldest_waiting_seconds", "How long the oldest waits.", health.oldest_waiting_seconds)
        yield _gauge("waybill_relay_alive", "1 while a relay beats.", int(health.relay_alive))
        yield _gauge("waybill_workers_alive", "Worker processes that beat.", health.workers_alive)
        yield _gauge("waybill_broker_up", "1 while the broker answers.", int(health.broker == "ok"))
        yield _by_handler(
            "waybill_deliveries",
            "Deliveries that have not come to their end, or are dead.",
            Delivery.objects.open("waiting", "ready", "running", "dead")
            .values_list("handler", "state")
            .annotate(count=Count("pk")),
            "state",
        )
        recent = latencies(now)
        yield _by_handler(
            "waybill_done_recently",
            "Deliveries done in the last five minutes.",
            Delivery.objects.filter(state="done", finished_at__gt=now - RECENT)
            .values_list("handler")
            .annotate(count=Count("pk")),
        )
        waits, runs = [(one.handler, one.wait) for one in recent], [(one.handler, one.run) for one in recent]
        yield _spread("waybill_wait_seconds", "From due to started, of these.", waits)
        yield _spread("waybill_run_seconds", "From started to done, of these.", runs)
        yield _by_handler(
            "waybill_failed_tries_recently",
            "Tries that did not end well in the last five minutes.",
            Attempt.objects.filter(finished_at__gt=now - RECENT)
            .values_list("delivery__handler", "outcome")
            .annotate(count=Count("pk")),
            "outcome",
        )
        yield _by_handler(
            "waybill_held_back",
            "1 for each handler that is paused or rests.",
            Brake.objects.holding(now).values_list("handler").annotate(count=Count("pk")),
        )


def exposition() -> bytes:
    """All of it in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(PipelineCollector())
    return generate_latest(registry)


def _gauge(name: str, words: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, words, value=value)


def _spread(name: str, words: str, spreads: Iterable[tuple[str, Spread]]) -> GaugeMetricFamily:
    samples = [(handler, q, value) for handler, s in spreads for q, value in (("0.5", s.p50), ("0.95", s.p95))]
    return _by_handler(name, words, samples, "quantile")


def _by_handler(name: str, words: str, rows: Iterable[tuple[Any, ...]], *more: str) -> GaugeMetricFamily:
    """One sample for each row: labels, then the count."""
    family = GaugeMetricFamily(name, words, labels=["handler", *more])
    for *labels, count in rows:
        family.add_metric([str(label) for label in labels], count)
    return family
