"""Metrics: for the holder of the token, on the platform's own host, in Prometheus's format."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from prometheus_client.parser import text_string_to_metric_families

from federation.models import Proof, Stream
from tests.federation.agreements import make

TOKEN = "a long random text"


@pytest.fixture
def scrape(settings, db):
    settings.METRICS_TOKEN = TOKEN

    def get(token: str | None = TOKEN, host: str = "localhost"):
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return Client(HTTP_HOST=host).get("/metrics", headers=headers)

    yield get
    connection.set_schema_to_public()


def samples(text: str) -> dict:
    return {
        (
            sample.name,
            sample.labels.get("owner"),
            sample.labels.get("state") or sample.labels.get("le"),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_without_the_setting_there_is_no_such_page(scrape, settings) -> None:
    settings.METRICS_TOKEN = ""
    assert scrape().status_code == 404
    assert scrape("").status_code == 404


def test_a_setting_of_blanks_is_no_token(scrape, settings) -> None:
    settings.METRICS_TOKEN = "  "
    assert scrape("").status_code == 404
    assert scrape(" ").status_code == 404


@pytest.mark.parametrize("token", [None, "", "another", TOKEN + "x", TOKEN[:-1]])
def test_without_the_token_nothing_is_read(scrape, token) -> None:
    answer = scrape(token)
    assert answer.status_code == 401
    assert b"roboblock" not in answer.content


@pytest.mark.parametrize("host", ["aurora.localhost", "nobody.localhost"])
def test_an_institutions_host_has_no_metrics(scrape, host) -> None:
    assert scrape(host=host).status_code == 404


def test_each_stream_is_measured(scrape, aurora, harbour) -> None:
    agreement = make.active(aurora, harbour)
    stream = Stream.objects.get(agreement=agreement, owner=harbour)
    stream.latencies, stream.latency_seconds = [0] * 24, 0.5
    stream.latencies[4], stream.latencies[9] = 7, 3
    stream.state, stream.batches, stream.rows_written = "running", 12, 345
    stream.save()
    Proof.objects.create(
        stream=stream, state="done", result="equal", at=stream.created_at, finished_at=stream.created_at
    )

    found = samples(scrape().content.decode())

    assert found["roboblock_mirror_rows_written_total", "harbour", None] == 345
    assert found["roboblock_mirror_batches_total", "harbour", None] == 12
    assert found["roboblock_mirror_state", "harbour", "in_step"] == 1
    assert found["roboblock_mirror_state", "harbour", "broken"] == 0
    assert found["roboblock_mirror_pending_rows", "aurora", None] == 0
    assert found["roboblock_mirror_last_proof_equal", "harbour", None] == 1
    assert found["roboblock_mirror_latency_seconds_count", "harbour", None] == 10
    assert found["roboblock_mirror_latency_seconds_sum", "harbour", None] == 0.5
    assert found["roboblock_mirror_latency_seconds_bucket", "harbour", "0.008"] == 7
    assert found["roboblock_mirror_latency_seconds_bucket", "harbour", "+Inf"] == 10


def test_labels_are_ids_and_schema_names_and_more_streams_cost_no_more_queries(
    scrape, aurora, harbour, borealis, meadow
) -> None:
    make.active(aurora, harbour)

    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            scrape()
        return len(captured)

    before = count()
    make.active(borealis, harbour)
    make.active(aurora, meadow)

    assert count() == before <= 10
    text = scrape().content.decode()
    for name in ("Aurora", "Harbour Bank", "example.test"):
        assert name not in text
