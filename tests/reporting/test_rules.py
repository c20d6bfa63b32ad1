"""When the rules of figures change: what was released stays, what was not is ordered again; page and PDF agree."""

import io
from collections.abc import Callable

import pytest
from django.db import IntegrityError, transaction
from django.test import Client as Browser
from django.urls import reverse
from pypdf import PdfReader

from accounts.errors import DomainError
from federation.models import Institution
from portfolios.models import Portfolio
from reporting import services
from reporting.models import Report
from tests.factories import Cast
from tests.reporting import make

Browse = Callable[..., Browser]
NOTICE = "before the rules of its figures changed"


@pytest.fixture
def portfolio(in_aurora: Cast) -> Portfolio:
    return make.portfolio_with_history(in_aurora.unit, by=in_aurora.manager)


@pytest.fixture
def former(portfolio: Portfolio, in_aurora: Cast, monkeypatch: pytest.MonkeyPatch) -> Report:
    """A report made by former rules."""
    with monkeypatch.context() as earlier:
        earlier.setattr(services, "CONTENT_VERSION", services.CONTENT_VERSION - 1)
        return make.report(portfolio, by=in_aurora.manager)


def _page(browser: Browser, report: Report) -> str:
    path = reverse("reporting:report_detail", urlconf="config.urls", args=[report.pk])
    return browser.get(path).content.decode()


def test_what_was_released_stays_as_it_was(
    former: Report, in_aurora: Cast, aurora: Institution, browse: Browse
) -> None:
    services.release_report(report=former, by=in_aurora.advisor)
    content, pdf = former.content, bytes(former.pdf)
    services.make_report(report=former)
    with pytest.raises(DomainError, match="could not be made"):
        services.retry_report(report=former, by=in_aurora.manager)
    with pytest.raises(IntegrityError, match="make a new one"), transaction.atomic():
        Report.objects.filter(pk=former.pk).update(content={})
    former.refresh_from_db()
    assert (former.content, bytes(former.pdf)) == (content, pdf)
    assert NOTICE not in _page(browse(aurora, in_aurora.advisor), former)


def test_what_was_not_released_says_that_it_is_to_be_ordered_again(
    former: Report, in_aurora: Cast, aurora: Institution, browse: Browse
) -> None:
    assert NOTICE in _page(browse(aurora, in_aurora.manager), former)
    assert NOTICE in _page(browse(aurora, in_aurora.advisor), former)
    anew = make.report(former.portfolio, by=in_aurora.manager)
    assert anew.pk != former.pk
    assert NOTICE not in _page(browse(aurora, in_aurora.manager), anew)


def test_page_and_pdf_of_a_report_show_the_same_figures(
    portfolio: Portfolio, in_aurora: Cast, aurora: Institution, browse: Browse
) -> None:
    report = make.report(portfolio, by=in_aurora.manager)
    page = _page(browse(aurora, in_aurora.manager), report)
    pages = PdfReader(io.BytesIO(bytes(report.pdf))).pages
    printed = "".join("".join(each.extract_text() for each in pages).split())
    document = report.content["document"]
    tables = ("development", "returns", "allocation", "costs")
    figures = [
        cell
        for name in tables
        for row in document[name]["rows"]
        for cell in row
        if "%" in cell or "." in cell
    ]
    assert figures
    assert [each for each in figures if "".join(each.split()) not in printed] == []
    assert [each for each in figures if each not in page] == []
