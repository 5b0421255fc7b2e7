"""`/healthz`, `/readyz` and `/metrics`: what an orchestrator, an operator and Prometheus ask.

They are pages of the HTTP server rather than endpoints of the application, because they must answer when nothing can
become durable any more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from sparekey.server.http import HttpServer, Page
from sparekey.server.tally import LATENCY_BUCKETS, Tally
from sparekey.wire.requests import Reply, Request

_PLAIN: Final = b"text/plain; version=0.0.4; charset=utf-8"


class Condition(StrEnum):
    """How a component is. DEGRADED: it does less than it should, and says what."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe found. `detail` is for the operator: no secrets, no personal data."""

    condition: Condition
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Probe:
    """Looks at one component, at once and without waiting. `critical`: without it the platform cannot do its work."""

    component: str
    look: Callable[[], Finding]
    critical: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """A number that another room offers to Prometheus, e.g. `Reading("sparekey_journal_position", …)`."""

    name: str
    help: str
    read: Callable[[], float]
    counts: bool = False  # it only grows


class Health:
    """`pages` is what the HTTP server needs."""

    def __init__(
        self,
        probes: Sequence[Probe] = (),
        readings: Sequence[Reading] = (),
        *,
        tally: Tally,
        server: Callable[[], HttpServer | None] = lambda: None,
    ) -> None:
        """`tally` is the HTTP server's; `server` gives that server once it exists (pages are made before it)."""
        self._probes = tuple(probes)
        self._server = server
        self._registry = CollectorRegistry()
        self._registry.register(_ServerCollector(tally, tuple(readings), server))
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    @property
    def pages(self) -> Mapping[bytes, Page]:
        """By path. GET and HEAD only."""
        return {
            b"/healthz": _read_only(self._healthz),
            b"/readyz": _read_only(self._readyz),
            b"/metrics": _read_only(self._metrics),
        }

    def _healthz(self, request: Request) -> Reply:
        """The process runs and its loop turns: that this is answered at all is the answer."""
        return _json(200, {"status": Condition.OK})

    def _readyz(self, request: Request) -> Reply:
        """503 if something critical is not as it should be; what is merely degraded is listed, with 200."""
        server = self._server()
        components: dict[str, dict[str, object]] = {}
        worst = Condition.OK
        ready = True
        for probe in self._probes:
            try:
                finding = probe.look()
            except Exception as error:
                finding = Finding(Condition.FAILED, f"the probe failed: {type(error).__name__}")
            components[probe.component] = {
                "status": finding.condition,
                "critical": probe.critical,
                "detail": finding.detail,
            }
            if finding.condition != Condition.OK:
                if probe.critical:
                    ready = False
                    worst = Condition.FAILED
                elif worst == Condition.OK:
                    worst = Condition.DEGRADED
        if server is not None and server.stopping:
            ready, worst = False, Condition.FAILED
            components["server"] = {"status": Condition.FAILED, "critical": True, "detail": "stopping"}
        return _json(200 if ready else 503, {"status": worst, "ready": ready, "components": components})

    def _metrics(self, request: Request) -> Reply:
        reply = Reply(200, generate_latest(self._registry))
        reply.content_type = _PLAIN
        return reply


class _ServerCollector(Collector):
    """Turns plain integers into samples when asked, so that counting costs the hot path next to nothing."""

    def __init__(self, tally: Tally, readings: tuple[Reading, ...], server: Callable[[], HttpServer | None]) -> None:
        self._tally = tally
        self._readings = readings
        self._server = server

    def describe(self) -> Iterable[Metric]:
        return ()  # otherwise the registry would collect once at registration, when there is nothing to read yet

    def collect(self) -> Iterator[Metric]:
        tally = self._tally
        requests = CounterMetricFamily(
            "sparekey_http_requests", "Replies sent, by API family and status class.", labels=["family", "status"]
        )
        weight = CounterMetricFamily(
            "sparekey_request_weight", "Request weight charged, by API family.", labels=["family"]
        )
        latency = HistogramMetricFamily(
            "sparekey_http_request_duration_seconds",
            "From a request being complete to its reply being handed to the socket.",
            labels=["family"],
        )
        for name, family in tally.families():
            for status_class in range(1, 6):
                if count := family.by_class[status_class]:
                    requests.add_metric([name, f"{status_class}xx"], count)
            weight.add_metric([name], family.weight)
            latency.add_metric([name], _buckets(family.latency), family.latency_sum_us / 1e6)
        yield requests
        yield weight
        yield latency
        refusals = CounterMetricFamily("sparekey_refusals", "Refusals, by exact reason.", labels=["reason"])
        for reason, count in sorted(tally.reasons.items()):
            refusals.add_metric([reason], count)
        yield refusals
        faults = CounterMetricFamily(
            "sparekey_http_faults", "Requests refused before anybody read them, by kind.", labels=["kind"]
        )
        for kind, count in sorted(tally.faults.items()):
            faults.add_metric([kind], count)
        yield faults
        yield CounterMetricFamily(
            "sparekey_connections_accepted", "Connections accepted.", value=tally.connections_accepted
        )
        yield CounterMetricFamily(
            "sparekey_connections_handed_over",
            "Connections handed to the console's server or to a stream.",
            value=tally.connections_handed_over,
        )
        server = self._server()
        if server is not None:
            yield GaugeMetricFamily("sparekey_connections", "Connections open.", value=len(server.connections))
            yield GaugeMetricFamily(
                "sparekey_known_header_blocks", "Header blocks known by heart.", value=len(server.known_heads)
            )
        for reading in self._readings:
            family_of = CounterMetricFamily if reading.counts else GaugeMetricFamily
            yield family_of(reading.name, reading.help, value=reading.read())


def _buckets(counts: list[int]) -> list[tuple[str, float]]:
    """Cumulative. Bucket i holds what has i bits, so its bound of 2^i - 1 µs belongs to it, as Prometheus wants."""
    cumulative: list[tuple[str, float]] = []
    total = 0
    for index, count in enumerate(counts):
        total += count
        if 4 <= index < LATENCY_BUCKETS - 1:  # from 15 µs to 16 s
            cumulative.append((repr(((1 << index) - 1) / 1e6), total))
    cumulative.append(("+Inf", total))
    return cumulative


def _json(status: int, document: object) -> Reply:
    reply = Reply(status, json.dumps(document).encode(), b"Cache-Control: no-store\r\n")
    reply.content_type = b"application/json"
    return reply


def _read_only(page: Page) -> Page:
    def answer(request: Request) -> Reply:
        if request.method not in ("GET", "HEAD"):
            reply = _json(405, {"status": "method not allowed"})
            reply.headers += b"Allow: GET, HEAD\r\n"
            return reply
        return page(request)

    return answer
