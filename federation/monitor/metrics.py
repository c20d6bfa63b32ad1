"""The mirrors as Prometheus reads them: ids and schema names, nothing personal."""

import time
from collections.abc import Iterator

from django.utils import timezone
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from federation.mirror import dispatch, figures
from federation.mirror.status import last_proofs, pending_of, state_of, streams
from federation.models import Alert, Proof, Stream

LABELS = ("stream", "agreement", "owner", "receiver")
STATES = ("in_step", "behind", "waiting", "filling", "suspended", "broken")


class Mirrors(Collector):
    """Reads all streams that have not ended, in a fixed number of queries."""

    def collect(self) -> Iterator[Metric]:
        """Yield the figures of all streams, labelled as ``LABELS`` says."""
        gauges = {
            name: GaugeMetricFamily(f"roboblock_mirror_{name}", text, labels=LABELS)
            for name, text in {
                "pending_rows": "Keys that have changed and not been looked at.",
                "oldest_age_seconds": "Age of the oldest change that waits, 0 without any.",
                "parked_rows": "Rows set aside that are tried again.",
                "skipped_rows": "Rows set aside that are not tried until their next change.",
                "last_proof_timestamp_seconds": "When both sides were last compared.",
                "last_proof_equal": "1 if that comparison found both sides equal, parked rows aside.",
            }.items()
        }
        state = GaugeMetricFamily(
            "roboblock_mirror_state", "1 for the state that a stream is in.", labels=(*LABELS, "state")
        )
        batches = CounterMetricFamily("roboblock_mirror_batches", "Batches that wrote rows.", labels=LABELS)
        rows = CounterMetricFamily("roboblock_mirror_rows_written", "Rows written.", labels=LABELS)
        latency = HistogramMetricFamily(
            "roboblock_mirror_latency_seconds", "From a change's statement to its appearance.", labels=LABELS
        )
        following = list(streams().exclude(state=Stream.State.ENDED))
        waiting, proofs, now = pending_of(following), last_proofs(following), timezone.now()
        for stream in following:
            schemas = (str(stream.owner.schema_name), str(stream.receiver.schema_name))
            labels = [str(stream.pk), str(stream.agreement_id), *schemas]
            pending, oldest = waiting.get(stream.pk, (0, None))
            age = now - oldest if oldest else None
            gauges["pending_rows"].add_metric(labels, pending)
            gauges["oldest_age_seconds"].add_metric(labels, age.total_seconds() if age else 0)
            gauges["parked_rows"].add_metric(labels, stream.parked_count)  # type: ignore[attr-defined]
            gauges["skipped_rows"].add_metric(labels, stream.skipped_count)  # type: ignore[attr-defined]
            current = state_of(stream, age)
            for each in STATES:
                state.add_metric([*labels, each], int(each == current))
            batches.add_metric(labels, stream.batches)
            rows.add_metric(labels, stream.rows_written)
            latency.add_metric(labels, list(_buckets(stream)), stream.latency_seconds)
            proof = proofs.get(stream.pk)
            if proof is not None and proof.at is not None:
                gauges["last_proof_timestamp_seconds"].add_metric(labels, proof.at.timestamp())
                is_equal = proof.result in {Proof.Result.EQUAL, Proof.Result.PARKED}
                gauges["last_proof_equal"].add_metric(labels, int(is_equal))
        yield from (*gauges.values(), state, batches, rows, latency)
        yield GaugeMetricFamily(
            "roboblock_mirror_open_alerts",
            "Alerts that are raised.",
            value=Alert.objects.filter(cleared_at=None).count(),
        )
        tick = dispatch.last_tick()
        if tick is not None:
            yield GaugeMetricFamily(
                "roboblock_dispatcher_tick_age_seconds",
                "Since the dispatcher last swept; absent where it never did.",
                value=max(0.0, time.time() - tick),
            )


def _buckets(stream: Stream) -> Iterator[tuple[str, float]]:
    """Yield upper bounds in seconds with how many changes took no longer."""
    below = 0
    counts = stream.latencies or [0] * (len(figures.BOUNDS) + 1)
    for bound, count in zip((*figures.BOUNDS, None), counts, strict=True):
        below += count
        yield ("+Inf" if bound is None else str(bound / 1000)), below


def text() -> bytes:
    """Return all metrics in Prometheus's text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Mirrors())
    return generate_latest(registry)
