"""The commands that import prices and rates, as README.md has them."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django_tenants.utils import tenant_context

from config.embedded.paths import PROJECT
from federation.models import Institution
from portfolios.models import ExchangeRate, Price
from tests.portfolios import make
from tests.portfolios.test_imports import ECB_CSV, ECB_XML, zipped

RATES = ["import_rates", "FILE", "--institution", "aurora"]
PRICES = ["import_prices", "FILE", "--institution", "aurora"]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., str]:
    """Return what runs a command on a file with this name and content, in the public schema, and what it said."""

    def run_one(command: list[str], name: str, content: bytes) -> str:
        file, out = tmp_path / name, io.StringIO()
        file.write_bytes(content)
        call_command(*(str(file) if word == "FILE" else word for word in command), stdout=out)
        return out.getvalue()

    return run_one


def test_readme_shows_what_is_tested_here() -> None:
    text = (PROJECT / "README.md").read_text("utf-8")
    for command in (RATES, PRICES):
        assert f"python manage.py {' '.join(command)} " in text


def test_rates_of_the_ecb_are_imported_into_the_institution_that_is_named(aurora, harbour, run):
    assert "1 new" in run(
        RATES, "eurofxref-hist.zip", zipped(b"Date,USD,\n2026-03-02,1.07,\n", "eurofxref-hist.csv")
    )
    assert "2 new" in run(RATES, "eurofxref-daily.xml", ECB_XML)
    assert connection.schema_name == "public"
    with tenant_context(aurora):
        assert ExchangeRate.objects.count() == 3
    with tenant_context(harbour):
        assert not ExchangeRate.objects.exists()


@pytest.mark.parametrize(
    "content",
    [b"date,ticker,close,currency\n2026-03-02,AAPL,181.5,USD\n", b"Date,AAPL\n2026-03-02,181.5\n"],
    ids=["one row each", "one column per ticker"],
)
def test_closes_are_imported_into_the_institution_that_is_named(aurora, run, content):
    with tenant_context(aurora):
        apple = make.security(name="Apple", currency="USD", ticker="AAPL")
    assert "1 new" in run(PRICES, "closes.csv", content)
    with tenant_context(aurora):
        assert Price.objects.get(security=apple, source__code="IMPORT").date == make.day(0)


def test_a_schema_that_is_set_is_enough(aurora, run):
    said = run(["tenant_command", "--schema", "aurora", "import_rates", "FILE"], "rates.csv", ECB_CSV)
    assert "5 new" in said
    with tenant_context(aurora):
        assert ExchangeRate.objects.count() == 5


@pytest.mark.parametrize("command", ["import_rates", "import_prices"])
def test_where_the_institution_is_missing_or_unknown_those_that_are_there_are_listed(db, command):
    known = "--institution takes one of " + ", ".join(
        Institution.objects.order_by("schema_name").values_list("schema_name", flat=True)
    )
    assert "aurora, borealis, harbour" in known
    with pytest.raises(CommandError, match=f"^Say for which institution: {known}.$"):
        call_command(command, "FILE")
    with pytest.raises(CommandError, match=f"^There is no institution quay: {known}.$"):
        call_command(command, "FILE", "--institution", "quay")
