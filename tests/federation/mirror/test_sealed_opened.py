"""Sealed records that compliance opens: with a reason, for a while, to read and to export."""

import datetime
import io

from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone
from openpyxl import load_workbook

from accounts.models import AuditEntry
from clients.models import Client, Mandate, Party
from federation.models import (
    Agreement,
    AgreementEvent,
    SealedAccess,
    SealedRecords,
)
from portfolios.models import Transaction
from tests import factories
from tests.federation.mirror.sealing import ended, sealed_at
from tests.federation.mirror.world import TODAY, World
from tests.federation.received import as_mirror


def test_sealed_records_are_opened_with_a_reason_that_both_parties_read(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    ended(world, mandate, agreement=agreement)
    kept = sealed_at(agreement, "aurora")
    with world.within("aurora"):
        browser = Browser(headers={"host": "aurora.localhost"})
        compliance = factories.cast().compliance
        browser.force_login(compliance)
        page = browser.get(reverse("federation:sealed_list"))
        assert mandate.number.encode() in page.content
        assert b"Ann Example" not in page.content
        url = reverse("federation:sealed_detail", args=[kept.pk, mandate.pk])
        assert b"Ann Example" not in browser.get(url).content
        assert b"Your partner reads this in the timeline." in browser.get(url).content
        assert browser.post(url, {"do": "open", "reason": ""}).status_code == 200
        assert not SealedAccess.objects.exists()
        opened = browser.post(url, {"do": "open", "reason": "The client asks."})
        assert opened.status_code == 302
        assert b"Ann Example" in browser.get(opened["Location"]).content
        other = Browser(headers={"host": "aurora.localhost"})
        other.force_login(factories.cast().administrator)
        assert other.get(reverse("federation:sealed_list")).status_code == 200
        assert other.get(opened["Location"]).status_code == 404
        assert other.post(url, {"do": "open", "reason": "Curious."}).status_code == 404
        stranger = Browser(headers={"host": "aurora.localhost"})
        stranger.force_login(factories.cast().advisor)
        assert stranger.get(url).status_code == 404
        assert AuditEntry.objects.get(action="sealed.opened").record_id == mandate.pk
        SealedAccess.objects.update(at=timezone.now() - datetime.timedelta(hours=1))
        assert browser.get(opened["Location"]).status_code == 302
        csv = browser.get(reverse("federation:sealed_list"), {"_export": "csv", "state": "sealed"})
        assert mandate.number.encode() in csv.content
    line = AgreementEvent.objects.get(agreement=agreement, kind="sealed_opened")
    assert (line.note, line.data["mandate"]) == ("The client asks.", mandate.number)
    with world.within("harbour"):
        browser = Browser(headers={"host": "harbour.localhost"})
        browser.force_login(factories.cast().compliance)
        timeline = browser.get(reverse("federation:timeline", args=[agreement.pk]))
        assert b"The client asks." in timeline.content
        kept_here = sealed_at(agreement, "harbour")
        url = reverse("federation:sealed_detail", args=[kept_here.pk, mandate.pk])
        opened = browser.post(url, {"do": "open", "reason": "An audit."})
        with as_mirror():
            Transaction.objects.filter(text="Entry 2").update(trade_date=TODAY - datetime.timedelta(days=9))
        text = browser.get(opened["Location"]).content.decode()
        assert text.index("Entry 1") < text.index("Entry 2"), "the newest by its day comes first"
        assert f"<td>{mandate.number}" in text, "the portfolio names a mandate that is the reader's own"
        assert text.count('id="id_reason"') <= 1
        assert browser.get(reverse("federation:sealed_detail", args=[kept.pk, mandate.pk])).status_code == 404
    # Past its last day nobody reads what has not been erased yet, unless it is held.
    SealedAccess.objects.update(at=timezone.now() - SealedAccess.LASTS)
    SealedRecords.objects.update(retain_until=timezone.localdate() - datetime.timedelta(days=1))
    assert (
        b"The last day of these records is over"
        in browser.post(url, {"do": "open", "reason": "Late."}).content
    )
    browser.post(url, {"do": "hold", "reason": "A lawsuit."})
    assert browser.post(url, {"do": "open", "reason": "The lawsuit."}).status_code == 302


def opened(world: World, schema: str, agreement: Agreement, mandate: Mandate) -> tuple[Browser, str]:
    """Open what an institution keeps of a mandate; return compliance's browser and the page's address."""
    kept = sealed_at(agreement, schema)
    with world.within(schema):
        browser = Browser(headers={"host": f"{schema}.localhost"})
        browser.force_login(factories.cast().compliance)
        detail = reverse("federation:sealed_detail", args=[kept.pk, mandate.pk])
        answer = browser.post(detail, {"do": "open", "reason": "An audit."})
    return browser, answer["Location"]


def signed(world: World, agreement: Agreement, client: Client | None = None) -> Mandate:
    """Return a mandate with terms longer than a line, whose client entered a formula for a name."""
    mandate = world.mandate(agreement, client=client)
    terms = {"management_fee": "0.008", "minimum_amount": "40000", "summary": "Calm. " * 40 + "The end."}
    with world.within("harbour"):
        Mandate.objects.filter(pk=mandate.pk).update(terms=terms)
        Client.objects.filter(pk=mandate.client_id).update(last_name="=1+1")
    ended(world, mandate, agreement=agreement)
    return mandate


def test_sealed_terms_are_read_in_full_and_linked_records_by_their_names(world: World) -> None:
    agreement = world.agree()
    client = world.client("harbour")
    with world.within("harbour"):
        for name, year in (("Made First", 1990), ("Made Last", 1950)):
            born = datetime.date(year, 1, 1)
            Party.objects.create(client=client, role="joint_owner", name=name, birth_date=born)
    mandate = signed(world, agreement, client)
    browser, url = opened(world, "aurora", agreement, mandate)
    with world.within("aurora"):
        page = browser.get(url).content.decode()
        client = Client.objects.get()
    assert "Management fee a year: 0.80%" in page
    assert "Minimum: 40,000" in page
    assert "The end." in page
    assert page.index("Made Last") < page.index("Made First"), "the newest first, not the youngest"
    assert f"<td>{client.number} {client.name}</td>" in page, "the contact detail names its client"
    assert f"→ {client.pk.hex[-6:]}" not in page
    assert f"<td>{agreement.name}</td>" in page


def test_who_opened_sealed_records_exports_them_while_it_lasts_and_nobody_else(world: World) -> None:
    agreement = world.agree()
    mandate = signed(world, agreement)
    browser, url = opened(world, "aurora", agreement, mandate)
    with world.within("aurora"):
        answer = browser.get(url, {"_export": "xlsx"})
        assert AuditEntry.objects.filter(action="sealed.exported").count() == 1
        other = Browser(headers={"host": "aurora.localhost"})
        other.force_login(factories.cast().administrator)
        assert other.get(url, {"_export": "xlsx"}).status_code == 404
        SealedAccess.objects.update(at=timezone.now() - SealedAccess.LASTS)
        assert browser.get(url, {"_export": "xlsx"}).status_code == 302
    book = load_workbook(io.BytesIO(answer.content))
    assert {"Clients", "Contact details", "Mandates"} <= set(book.sheetnames)
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert "'=1+1" in {cell.value for cell in cells}
    assert not [cell for cell in cells if cell.data_type == "f"]
    assert any("The end." in str(cell.value) for cell in cells)
    columns = {column[0].value: column[1].value for column in book["Mandates"].iter_cols()}
    submitted = columns["submitted (UTC)"]
    assert submitted == mandate.submitted_at.replace(tzinfo=None, microsecond=0)


def test_the_way_back_to_opened_records_asks_for_no_second_reason(world: World) -> None:
    agreement = world.agree()
    mandate = signed(world, agreement)
    browser, url = opened(world, "harbour", agreement, mandate)
    detail = reverse("federation:sealed_detail", args=[sealed_at(agreement, "harbour").pk, mandate.pk])
    with world.within("harbour"):
        again = browser.get(detail).content.decode()
        assert url in again
        assert 'value="open"' not in again
        SealedAccess.objects.update(at=timezone.now() - SealedAccess.LASTS)
        assert 'value="open"' in browser.get(detail).content.decode()
