"""Pages of securities, prices, rates, sources and imports: with and without data, their lists, and who may see them."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.errors import DomainError
from accounts.models import AuditEntry
from accounts.records import new_id
from portfolios import tasks
from portfolios.models import ImportBatch, Price, PriceSource, Security, Transaction, security_id
from portfolios.services import book
from portfolios.services.securities import replace_security
from tests.factories import Cast
from tests.portfolios import make
from tests.portfolios.pages import get


@pytest.mark.parametrize(
    "name",
    [
        "security_list",
        "price_list",
        "rate_list",
        "source_list",
        "import_list",
        "import_create",
        "security_create",
    ],
)
def test_reference_pages_open_with_and_without_data(as_manager, filled, name):
    assert get(as_manager, name).status_code == 200


def test_imports_and_sources_are_filtered_sorted_and_exported(as_manager, in_aurora: Cast):
    ours = PriceSource.objects.create(code="OURS", name="Our desk")
    PriceSource.objects.create(code="OTHER", name="Another desk", is_simulated=True)
    for kind, name in (("prices", "closes.csv"), ("rates", "eurofxref.zip")):
        ImportBatch.objects.create(kind=kind, file_name=name, content=b"", source=ours, state="done")
    for page, query, kept, left_out in (
        ("import_list", "?kind=rates", "eurofxref.zip", "closes.csv"),
        ("import_list", "?q=closes&sort=-rows_total", "closes.csv", "eurofxref.zip"),
        ("source_list", "?q=ours&sort=code", "Our desk", "Another desk"),
        ("source_list", "?whose=own&q=other&sort=-preference", "Another desk", "Our desk"),
    ):
        text = as_manager.get(reverse(f"portfolios:{page}") + query).content.decode()
        exported = as_manager.get(reverse(f"portfolios:{page}") + query + "&_export=csv").content.decode()
        assert kept in text, query
        assert kept in exported, query
        assert left_out not in exported, query
    shown = as_manager.get(reverse("portfolios:source_list") + "?whose=received").content.decode()
    assert "Nothing matches" in shown


@pytest.mark.parametrize(
    "name", ["source_list", "import_list", "import_create", "security_create", "cash", "bank_entry_create"]
)
def test_a_page_without_the_right_does_not_exist(aurora, browse, in_aurora: Cast, name):
    assert get(browse(aurora, in_aurora.advisor), name).status_code == 404


def test_a_wrong_isin_is_corrected_by_a_security_that_the_old_one_names(as_manager, in_aurora: Cast):
    wrong, right = make.security("US0378331005", "Appel"), make.security("US5949181045", "Apple")
    with make.as_mirror():
        theirs = make.security("CH0038863350", "Nestlé", origin=new_id())
    with pytest.raises(DomainError, match="your partner's"):
        replace_security(security=theirs, replacement=right, by=in_aurora.manager)
    edit = reverse("portfolios:security_edit", args=[wrong.pk])
    form = {"name": "Appel", "kind": "share", "asset_class": "equity", "currency": "EUR", "price_unit": "per_unit",
            "lot_size": "1", "quantity_decimals": "0", "is_active": "on"}  # fmt: skip

    for isin, said in (("US0378331005", "Choose another"), ("US0000000000", "Create it first")):
        page = as_manager.post(edit, {**form, "replaced_by": isin})
        assert said in str(page.context["form"].errors["replaced_by"])
    assert as_manager.post(edit, {**form, "replaced_by": " us5949181045 "}).status_code == 302

    wrong.refresh_from_db()
    assert (wrong.isin, wrong.replaced_by, wrong.is_active) == ("US0378331005", right, False)
    (entry,) = AuditEntry.objects.filter(action="security.replaced")
    assert (entry.record_id, entry.data) == (wrong.pk, {"replacement": str(right.pk)})
    page = get(as_manager, "security_detail", wrong.pk).content.decode()
    assert "Replaced by" in page
    assert reverse("portfolios:security_detail", args=[right.pk]) in page
    assert "Replaced by" not in get(as_manager, "security_detail", right.pk).content.decode()
    with pytest.raises(DomainError, match="Choose another"):
        replace_security(security=right, replacement=wrong, by=in_aurora.manager)
    # Two at once may have made a ring of others.
    one = make.security("DE0007164600", "SAP")
    one.replaced_by = make.security("DE0005190003", "BMW", replaced_by=one)
    one.save()
    with pytest.raises(DomainError, match="Choose another"):
        replace_security(security=right, replacement=one, by=in_aurora.manager)

    assert as_manager.post(edit, {**form, "replaced_by": ""}).status_code == 302
    wrong.refresh_from_db()
    assert (wrong.replaced_by, wrong.is_active) == (None, True)


def test_a_security_is_created_and_its_isin_stays(as_manager, in_aurora: Cast):
    form = {"isin": "ch0038863350", "name": "Nestlé", "kind": "share", "asset_class": "equity", "currency": "chf",
            "price_unit": "per_unit", "lot_size": "1", "quantity_decimals": "0", "is_active": "on"}  # fmt: skip
    assert (
        as_manager.post(reverse("portfolios:security_create"), {**form, "isin": "CH0038863351"}).status_code
        == 200
    )
    unknown = as_manager.post(reverse("portfolios:security_create"), {**form, "currency": "xyz"})
    assert "“xyz” is not a currency." in str(unknown.context["form"].errors["currency"])
    nowhere = as_manager.post(reverse("portfolios:security_create"), {**form, "country": "zz"})
    assert "There is no such country." in str(nowhere.context["form"].errors["country"])
    made = as_manager.post(reverse("portfolios:security_create"), {**form, "country": "ch"})
    assert made.status_code == 302
    assert (
        "already a security" in as_manager.post(reverse("portfolios:security_create"), form).content.decode()
    )
    security = Security.objects.get()
    assert (security.pk, security.currency) == (security_id("CH0038863350"), "CHF")
    as_manager.post(
        reverse("portfolios:security_edit", args=[security.pk]),
        {**form, "isin": "US0378331005", "name": "Nestle"},
    )
    security.refresh_from_db()
    assert (security.isin, security.name) == ("CH0038863350", "Nestle")
    Security.objects.update(country="CH")
    assert "Switzerland" in get(as_manager, "security_detail", security.pk).content.decode()


def test_a_security_page_lists_only_visible_holders(as_manager, in_aurora: Cast, filled):
    other = make.portfolio(in_aurora.other_unit, "P-2")
    apple = Transaction.objects.get(type="sell").security
    book(entries=[make.buy(other, apple, 5, 10)], by=None)
    page = get(as_manager, "security_detail", apple.pk, period="all")
    assert [holding.portfolio for holding in page.context["holdings"]] == [filled]
    assert page.context["last"].close == 14


def test_a_file_is_previewed_confirmed_and_undone_in_the_browser(
    as_manager, in_aurora: Cast, filled, django_capture_on_commit_callbacks, monkeypatch
):
    sent = []
    monkeypatch.setattr(tasks.run_import, "delay_on_commit", lambda pk: sent.append(pk))
    monkeypatch.setattr(tasks.revalue_after_undo, "delay_on_commit", lambda *args: sent.append(args))
    upload = SimpleUploadedFile("closes.csv", b"Date,US0378331005,NEW\n2026-03-09,2e3,7\n2026-03-10,x,7\n")
    page = as_manager.post(
        reverse("portfolios:import_create"),
        {"kind": "prices", "file": upload, "new_source": "vendor", "currency": "eur"},
    )
    batch = ImportBatch.objects.get()
    assert page.headers["Location"] == reverse("portfolios:import_detail", args=[batch.pk])
    nothing = {
        "kind": "prices",
        "file": SimpleUploadedFile("a.csv", b"Date,US0378331005\n"),
        "new_source": "vendor",
    }
    page = as_manager.post(reverse("portfolios:import_create"), nothing, follow=True)
    assert "There is no figure in this file" in page.content.decode()
    preview = get(as_manager, "import_detail", batch.pk).content.decode()
    assert "“x” is not a number." in preview
    assert 'name="name-NEW"' in preview
    # As everywhere: 2,000.00 of 9 Mar 2026, not 2E+3 of 2026-03-09.
    assert '<td class="figure">2,000.00</td>' in preview
    assert ">9 Mar 2026</time> – <time" in preview
    before = Price.objects.count()
    unknown = as_manager.post(
        reverse("portfolios:import_confirm", args=[batch.pk]),
        {"create": "NEW", "name-NEW": "Newcomer", "currency-NEW": "EUX"},
        follow=True,
    )
    assert "“EUX” is not a currency." in unknown.content.decode()
    as_manager.post(
        reverse("portfolios:import_confirm", args=[batch.pk]),
        {"create": "NEW", "name-NEW": "Newcomer", "currency-NEW": "EUR"},
    )
    assert sent == [str(batch.pk)]
    # It fails before anything is written: there is nothing new, and nothing to undo.
    ImportBatch.objects.update(state="failed")
    failed = get(as_manager, "import_detail", batch.pk).content.decode()
    assert "Import again" in failed
    assert "Undo this import" not in failed
    assert '<div class="tile-label">New</div>' not in failed
    refused = as_manager.post(reverse("portfolios:import_undo", args=[batch.pk]), follow=True)
    assert "Only an import that wrote something can be undone." in refused.content.decode()
    as_manager.post(reverse("portfolios:import_confirm", args=[batch.pk]))
    assert sent.pop() == str(batch.pk)
    tasks.run_import(str(batch.pk))
    assert Price.objects.count() == before + 3
    assert filled.valuations.get(is_latest=True).date == make.day(8)
    done = get(as_manager, "import_detail", batch.pk).content.decode()
    assert "Undo this import" in done
    assert '<div class="tile-label">New</div>' in done
    as_manager.post(reverse("portfolios:import_undo", args=[batch.pk]))
    tasks.revalue_after_undo(*sent[1])
    assert Price.objects.count() == before
    assert filled.valuations.get(is_latest=True).date == make.day(4)


def test_securities_are_sorted_by_their_last_price(as_manager, filled):
    def shown(sort: str) -> tuple[list[object], int]:
        with CaptureQueriesContext(connection) as queries:
            page = get(as_manager, "security_list", sort=sort)
        return [row.record.last_price for row in page.context["table"].page.object_list], len(queries)

    make.security("XS0000000009", "Without a price")
    plain, few = shown("name")
    known = sorted(price for price in plain if price is not None)
    assert len(known) > 1
    assert None in plain
    assert shown("last_price") == ([*known, None], few)
    assert shown("-last_price") == ([*known[::-1], None], few)
    for sort in ("price_date", "-source"):
        assert shown(sort)[1] == few
    assert get(as_manager, "security_list", _export="html").status_code == 200
