"""What a server counts, for Prometheus. Each app has a registry of its own, so that one process can hold several."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from ugatit_fast.serve.batching import Batch

CONTENT_TYPE = CONTENT_TYPE_LATEST
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Counters, gauges and histograms; durations in seconds."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "ugatit_requests", "Requests answered.", ["path", "status"], registry=self.registry
        )  # fmt: skip
        self.request_seconds = Histogram(
            "ugatit_request_seconds", "From a request's headers to its answer's end.", ["path"],
            buckets=SECONDS, registry=self.registry,
        )  # fmt: skip
        self.pictures = Counter(
            "ugatit_pictures", "Photos translated.", ["direction"], registry=self.registry
        )  # fmt: skip
        self.batch_size = Histogram(
            "ugatit_batch_size", "Photos in one call of the engine.", ["direction"],
            buckets=BATCH_SIZES, registry=self.registry,
        )  # fmt: skip
        self.stage_seconds = Histogram(
            "ugatit_stage_seconds", "Time in each stage: decode, wait, engine (a whole batch), encode.", ["stage"],
            buckets=SECONDS, registry=self.registry,
        )  # fmt: skip
        self.queue_depth = Gauge(
            "ugatit_queue_depth", "Photos waiting for the engine.", ["direction"], registry=self.registry
        )
        self.in_hand = Gauge("ugatit_photos_in_hand", "Photos between decoding and encoding.", registry=self.registry)

    def count_batch(self, direction: str, batch: Batch) -> None:
        self.pictures.labels(direction).inc(len(batch.waited_s))
        self.batch_size.labels(direction).observe(len(batch.waited_s))
        self.stage_seconds.labels("engine").observe(batch.engine_s)
        for waited_s in batch.waited_s:
            self.stage_seconds.labels("wait").observe(waited_s)

    def text(self) -> bytes:
        """All of it in the text format, of `CONTENT_TYPE`."""
        return generate_latest(self.registry)
