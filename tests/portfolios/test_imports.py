"""Imports of prices and exchange rates: real formats, broken files, and undoing."""

import gzip
import io
import zipfile
from decimal import Decimal as D
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError

from accounts.errors import DomainError
from portfolios import tasks
from portfolios.models import ExchangeRate, ImportBatch, Portfolio, Price, PriceSource, Security, Valuation
from portfolios.services import book
from portfolios.services.imports import (
    PRICES,
    RATES,
    batches,
    confirm_import,
    preview_import,
    run_import,
    undo_import,
)
from portfolios.services.imports.files import MAXIMUM_CELLS, UnreadableFile
from portfolios.tasks import run_import as import_in_worker
from tests.factories import Cast
from tests.portfolios import make

ECB_CSV = b"Date,USD,JPY,CYP,\n2026-03-03,1.08,161.5,N/A,\n2026-03-02,1.07,160.25,0.58,\n"
ECB_XML = b"""<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
<gesmes:subject>Reference rates</gesmes:subject><Cube><Cube time="2026-03-04"><Cube currency="USD" rate="1.09"/>
<Cube currency="CHF" rate="0.94"/></Cube></Cube></gesmes:Envelope>"""


@pytest.fixture
def source(in_aurora: Cast) -> PriceSource:
    return make.source("CLOSES")


@pytest.fixture
def apple(source: PriceSource) -> Security:
    return make.security(name="Apple", currency="USD", ticker="AAPL")


def _preview(
    content: bytes, source: PriceSource, kind: str = PRICES, name: str = "closes.csv", **more
) -> ImportBatch:
    return preview_import(kind=kind, file_name=name, content=content, source=source, by=None, **more)


def _import(
    content: bytes, source: PriceSource, kind: str = PRICES, name: str = "closes.csv", create=None, **more
) -> ImportBatch:
    return run_import(
        batch=confirm_import(batch=_preview(content, source, kind, name, **more), by=None, create=create)
    )


def zipped(content: bytes, *names: str, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name in names:
            # Its own day, not now: what is packed is the same in each process.
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return packed.getvalue()


def test_a_preview_writes_nothing(source, apple):
    batch = _preview(b"date,isin,close,currency\n2026-03-02,US0378331005,181.5,USD\n", source)
    assert (batch.summary["new"], batch.summary["rows"], batch.state) == (1, 1, "preview")
    assert not Price.objects.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"date,isin,close,currency\n2026-03-02,US0378331005,181.5,USD\n",
        b"\xef\xbb\xbfDate,Ticker,Close,Currency\r\n02.03.2026,aapl,181.50,usd\r\n",
        "Datum;ISIN;Kurs;Währung\n02.03.2026;US0378331005;181,5;USD\n".encode("cp1252"),
        "date\tticker\tclose\n20260302\tAAPL\t181.5\n".encode("utf-16"),
        b"Date,AAPL\n2026-03-02,181.5\n",
        b"Date;US0378331005\n2026-03-02;181,5\n",
        gzip.compress(b"Date,AAPL\n2026-03-02,181.5\n"),
        zipped(b"Date,AAPL\n2026-03-02,181.5\n", "closes.csv"),
    ],
    # Archives hold the time they were made, and workers must agree on the names of tests.
    ids=["plain", "mark", "german", "utf-16", "wide", "wide isin", "gzip", "zip"],
)
def test_closes_are_read_as_people_send_them(source, apple, content):
    _import(content, source)
    price = Price.objects.get()
    assert (price.security, price.date, price.close, price.currency) == (
        apple,
        make.day(0),
        D("181.5"),
        "USD",
    )


def test_pence_are_kept_in_pounds(source):
    shell = make.security("GB00BP6MXD84", "Shell", "GBP")
    _import(b"date,isin,close,currency\n2026-03-02,GB00BP6MXD84,2650,GBX\n", source)
    assert Price.objects.get(security=shell).close == D("26.5")


def test_prices_in_a_currency_that_does_not_exist_are_left_out(source, apple):
    batch = _preview(
        b"date,isin,close,currency\n2026-03-02,US0378331005,181.5,USX\n2026-03-03,US0378331005,182,USD\n",
        source,
    )
    assert batch.summary["new"] == 1
    assert [error["problem"] for error in batch.summary["errors"]] == ["“USX” is not a currency."]


def test_a_second_time_nothing_is_new(source, apple):
    content = b"Date,AAPL\n2026-03-02,181.5\n2026-03-03,182\n"
    _import(content, source)
    again = _import(content, source)
    assert (again.summary["new"], again.summary["changed"], again.summary["unchanged"]) == (0, 0, 2)
    assert Price.objects.count() == 2


def test_each_wrong_row_says_what_to_do_and_the_others_count(source, apple):
    batch = _preview(
        b"date,ticker,close\n2026-03-02,AAPL,181.5\n2026-03-02,THETICKEROFTHEOTHERONE,1\nyesterday,AAPL,1\n"
        b"2026-03-03,AAPL,abc\n2026-03-04,AAPL,-1\n2099-01-01,AAPL,5\n2026-03-05,,5\n2026-03-02,AAPL,181.5\n2026-03-02,AAPL,99\n2026-03-06\n",
        source,
    )
    assert batch.summary["new"] == 1
    assert batch.summary["repeated"] == 1
    assert [error["row"] for error in batch.summary["errors"]] == [3, 4, 5, 6, 7, 8, 10, 11]
    assert batch.summary["errors"][1] == {
        "row": 4, "problem": "“yesterday” is not a date.", "remedy": "Write dates as 2026-03-31.",
    }  # fmt: skip


def test_a_close_that_would_be_rounded_is_a_wrong_row_and_the_others_are_imported(source, apple):
    content = (
        b"date,ticker,close,currency\n2026-03-02,AAPL,181.5000000000000,USD\n2026-03-03,AAPL,0.00000000001,USD\n"
        b"2026-03-04,AAPL,1e-400,USD\n2026-03-05,AAPL,1.00000000001,USD\n2026-03-06,AAPL,999999999999.5,USD\n"
        b"2026-03-07,AAPL,1.5000000001,GBX\n"
    )
    batch = _preview(content, source)
    assert [error["row"] for error in batch.summary["errors"]] == [3, 4, 5, 7]
    assert batch.summary["errors"][0] == {
        "row": 3, "problem": "AAPL: “0.00000000001” has more digits than are kept.",
        "remedy": "Write at most 14 digits before the decimal point and 10 after it.",
    }  # fmt: skip
    run_import(batch=confirm_import(batch=batch, by=None))
    assert dict(Price.objects.values_list("date", "close")) == {
        make.day(0): D("181.5"),
        make.day(4): D("999999999999.5"),
    }
    rates = _preview(b"date,currency,rate\n2026-03-02,USD,99999999999\n2026-03-03,USD,1.1\n", source, RATES)
    assert [error["row"] for error in rates.summary["errors"]] == [2]


def test_unknown_tickers_are_offered_and_created_only_when_wanted(source, apple):
    content = b"Date,AAPL,MSFT\n2026-03-02,181.5,400\n"
    batch = _preview(content, source, currency="usd")
    assert batch.summary["unknown"] == [{"key": "MSFT", "rows": 1, "currency": "USD"}]
    done = run_import(batch=confirm_import(batch=batch, by=None))
    assert (done.summary["new"], Security.objects.count()) == (1, 1)
    create = [{"key": "MSFT", "name": "Microsoft", "currency": "USD"}]
    _import(content, source, create=create)
    assert Price.objects.get(security__name="Microsoft").close == 400


def test_a_new_security_that_cannot_be_kept_is_refused_before_anything_runs_or_with_words(source):
    batch = _preview(b"Date,MSFT\n2026-03-02,400\n", source)
    create = [{"key": "MSFT", "name": "M" * 201, "currency": "USD"}]
    with pytest.raises(DomainError, match="The name of MSFT is too long"):
        confirm_import(batch=batch, by=None, create=create)
    batch = confirm_import(batch=batch, by=None, create=[{**create[0], "name": "M", "asset_class": "luck"}])
    import_in_worker(str(batch.pk))
    batch.refresh_from_db()
    assert (batch.state, "'luck' is not a valid choice" in batch.summary["failure"]) == ("failed", True)


@pytest.mark.parametrize(
    "content",
    [
        (
            b"isin,ticker,date,close\n"
            b"US0378331005,,2026-03-02,9\nXX0000000000,,2026-03-02,5\nUS0378331004,,2026-03-02,5\n"
            b"US037833100,,2026-03-02,5\n,THETICKEROFTHEOTHERONE,2026-03-02,5\n"
        ),
        b"Date,US0378331005,XX0000000000,US0378331004,THETICKEROFTHEOTHERONE\n2026-03-02,181.5,5,5,5\n",
    ],
    ids=["long", "wide"],
)
def test_what_no_security_can_be_called_is_said_in_the_preview_and_the_others_are_imported(
    source, apple, content
):
    summary = _preview(content, source, currency="usd").summary
    problems = [error["problem"] for error in summary["errors"]]
    assert problems == [
        "XX0000000000 is not an ISIN.",
        "US0378331004 is not an ISIN.",
        *(["US037833100 is not an ISIN."] if summary["layout"] == "long" else []),
        "THETICKEROFTHEOTHERONE is too long for a ticker.",
    ]
    assert (summary["new"], summary["rows"], summary["unknown"]) == (1, 1, [])
    assert summary["error_count"] == len(problems)
    assert _import(content, source).state == "done"
    assert Price.objects.get().security == apple


def test_a_ticker_of_two_securities_is_refused_with_the_isin_as_remedy(source, apple):
    make.security("CH0038863350", "Apple of Switzerland", "CHF", ticker="AAPL")
    batch = _preview(b"Date,AAPL\n2026-03-02,181.5\n", source)
    assert batch.summary["new"] == 0
    assert batch.summary["errors"][0]["remedy"] == "Use the ISIN instead."

    # What is found only when all rows are read stands at its row all the same.
    rows = b",AAPL,never,5\nXX0000000000,,2026-03-02,5\n,AAPL,2026-03-02,5\n,AAPL,never,5\n"
    errors = _preview(b"isin,ticker,date,close\n" + rows, source).summary["errors"]
    assert [error["row"] for error in errors] == [2, 3, 4, 5]


def test_an_import_is_undone_as_a_whole_but_not_what_changed_since(source, apple):
    _import(b"Date,AAPL\n2026-03-02,100\n2026-03-03,100\n", source)
    second = _import(b"Date,AAPL\n2026-03-02,200\n2026-03-03,200\n2026-03-04,200\n", source)
    _import(b"Date,AAPL\n2026-03-03,300\n", source)
    undone = undo_import(batch=second, by=None)
    assert dict(Price.objects.values_list("date", "close")) == {make.day(0): 100, make.day(1): 300}
    assert (undone.summary["removed"], undone.summary["restored"], undone.summary["left"]) == (1, 1, 1)
    with pytest.raises(DomainError):
        undo_import(batch=undone, by=None)


def test_what_a_later_import_changed_stays_when_the_first_is_undone(source, apple):
    first = _import(b"Date,AAPL\n2026-03-02,100\n2026-03-03,100\n", source)
    _import(b"Date,AAPL\n2026-03-03,300\n", source)
    undo_import(batch=first, by=None)
    assert dict(Price.objects.values_list("date", "close")) == {make.day(1): 300}


def test_undoing_drops_the_securities_that_it_made_and_nobody_uses(source):
    create = [{"key": "MSFT", "name": "Microsoft", "currency": "USD"}]
    batch = _import(b"Date,MSFT\n2026-03-02,400\n", source, create=create)
    undo_import(batch=batch, by=None)
    assert not Security.objects.exists()


def test_an_interrupted_import_goes_on_where_it_was(source, apple):
    batch = confirm_import(batch=_preview(b"Date,AAPL\n2026-03-02,100\n", source), by=None)
    batch.state = ImportBatch.State.RUNNING
    batch.save()
    run_import(batch=ImportBatch.objects.get(pk=batch.pk))
    batch.state = ImportBatch.State.RUNNING
    done = run_import(batch=batch)
    assert (Price.objects.count(), done.state) == (1, "done")
    undo_import(batch=done, by=None)
    assert not Price.objects.exists()


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (ECB_CSV, "eurofxref-hist.csv"),
        (zipped(ECB_CSV, "eurofxref-hist.csv"), "eurofxref-hist.zip"),
        (
            b"Date, USD, JPY, CYP, \n03 March 2026, 1.08, 161.5, N/A, \n02 March 2026, 1.07, 160.25, 0.58, \n",
            "eurofxref.csv",
        ),
    ],
)
def test_the_ecbs_tables_are_read(source, content, name):
    _import(content, source, RATES, name)
    assert ExchangeRate.objects.count() == 5
    assert ExchangeRate.objects.get(currency="USD", date=make.day(1)).rate == D("1.08")


@pytest.mark.parametrize("encoding", [b"UTF-8", b"foo"])
def test_the_ecbs_daily_file_is_read(source, encoding):
    # A text by then: which encoding it names counts no longer.
    _import(ECB_XML.replace(b"UTF-8", encoding), source, RATES, "eurofxref-daily.xml")
    assert dict(ExchangeRate.objects.values_list("currency", "rate")) == {"USD": D("1.09"), "CHF": D("0.94")}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "file_empty"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "file_not_text"),
        (b"just a sentence", "file_columns"),
        (b"a,b\n1,2\n", "file_columns"),
        (b"Date,USD,USD\n2026-03-02,1,2\n", "file_columns"),
        (ECB_XML[:300], "file_broken"),
        (b'<!DOCTYPE lolz [<!ENTITY lol "lol">]><a>&lol;</a>', "file_broken"),
        (zipped(ECB_CSV, "a.csv", "b.csv"), "zip_members"),
        (zipped(ECB_CSV, "eurofxref.csv")[:60], "file_broken"),
        # Packed only where they are tried: every process that runs tests reads all of these.
        (lambda: zipped(b"0" * (40 * 1024 * 1024), "bomb.csv"), "file_too_big"),
        (lambda: gzip.compress(b"0" * (40 * 1024 * 1024)), "file_too_big"),
        (lambda: ECB_CSV + b"\n" * MAXIMUM_CELLS, "file_too_big"),
        (lambda: b"<a>" + b'<b c=""/>' * (MAXIMUM_CELLS // 2) + b"</a>", "file_too_big"),
        (gzip.compress(ECB_CSV)[:-12], "file_broken"),
        (zipped(b"x", "[Content_Types].xml", "sheet.xml"), "file_spreadsheet"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "file_spreadsheet"),
        (zipped(ECB_CSV, "a.csv", method=zipfile.ZIP_LZMA).replace(b"\x5d", b"\xff", 1), "zip_method"),
        (zipped(ECB_CSV, "a.csv", method=zipfile.ZIP_BZIP2).replace(b"BZh", b"BZx", 1), "zip_method"),
        (b'<?xml version="1.0" encoding="utf-7"?><a/>', "file_columns"),
        (ECB_CSV + b"2026-03-01,1.06,160,N/A,\n" * 400 + b"2026-02-27,1\x00,160,N/A,\n", "file_not_text"),
    ],
    # Archives hold the time they were made, and workers must agree on the names of tests.
    ids=lambda value: value if isinstance(value, str) else "file",
)
def test_a_file_that_cannot_be_read_is_refused_with_a_reason(source, content, code):
    with pytest.raises(UnreadableFile) as refused:
        _preview(content() if callable(content) else content, source, RATES)
    assert refused.value.code == code
    assert not ImportBatch.objects.exists()


def test_the_command_imports_and_values(in_aurora: Cast, apple, tmp_path: Path, capsys):
    portfolio: Portfolio = make.portfolio(in_aurora.unit, currency="USD")
    book(entries=[make.buy(portfolio, apple, 1, 100), make.deposit(portfolio, 100)], by=None)
    file = tmp_path / "closes.csv"
    file.write_bytes(b"Date,AAPL,MSFT\n2026-03-02,100,\n2026-03-03,120,400\n")
    call_command("import_prices", str(file), source="vendor", create_missing=True, currency="USD")
    assert Valuation.objects.get(is_latest=True).market_value == 120
    assert PriceSource.objects.get(code="VENDOR").prices.count() == 3
    with pytest.raises(CommandError, match="no file"):
        call_command("import_rates", str(tmp_path / "none.zip"))


def test_the_shared_data_has_the_formats_that_are_read(source):
    """A few real lines of the ECB's file, as it is delivered: newest first, with a trailing comma."""
    head = b"Date,USD,JPY,BGN,CYP,\n2026-10-30,1.1172,175.68,N/A,N/A,\n2026-10-29,1.113,175.92,N/A,N/A,\n"
    batch = _preview(head, source, RATES)
    assert (batch.summary["rows"], batch.summary["from"], batch.summary["until"]) == (
        4,
        "2026-10-29",
        "2026-10-30",
    )


def test_an_import_that_breaks_off_says_so_and_can_be_repeated(source, apple, monkeypatch):
    batch = confirm_import(batch=_preview(b"Date,AAPL\n2026-03-02,100\n", source), by=None)
    write = batches._write

    def fail(*_args):
        raise DatabaseError("gone")

    monkeypatch.setattr(batches, "_write", fail)
    with pytest.raises(DatabaseError):
        tasks.run_import(str(batch.pk))
    batch.refresh_from_db()
    assert batch.state == "failed"
    assert "Import again" in batch.summary["failure"]
    monkeypatch.setattr(batches, "_write", write)
    tasks.run_import(str(confirm_import(batch=batch, by=None).pk))
    batch.refresh_from_db()
    assert (batch.state, Price.objects.count()) == ("done", 1)
    undo_import(batch=batch, by=None)
    assert not Price.objects.exists()
