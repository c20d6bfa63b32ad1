"""What remains at a receiver after the end: sealed, held, opened, erased."""

import datetime
import io

import pytest
from django.db import connection
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone
from guardian.shortcuts import assign_perm
from openpyxl import load_workbook

from accounts.errors import DomainError
from accounts.models import AuditEntry
from clients.models import Client, ContactDetail, Mandate, MandateDecision, Note
from federation.agreements import life, sealing
from federation.mirror import erasing
from federation.models import (
    Agreement,
    AgreementEvent,
    RecordsHold,
    SealedAccess,
    SealedKeys,
    SealedRecords,
)
from portfolios.models import BankEntry, Portfolio, Transaction, Valuation
from tests import factories
from tests.federation.mirror.test_overlap import personal, received, withhold
from tests.federation.mirror.world import TODAY, World

LATER = datetime.date(2040, 1, 1)


def ended(world: World, *mandates: Mandate, agreement: Agreement | None = None) -> Agreement:
    """Accept mandates under an agreement, give each a portfolio with a ledger, and cut the agreement off."""
    agreement = agreement or world.agree()
    listed = mandates or (world.mandate(agreement),)
    world.drain()
    for mandate in listed:
        world.decide(mandate, "accepted")
        portfolio = world.portfolio(mandate, transactions=3)
        with world.within("aurora"):
            Valuation.objects.create(
                portfolio=portfolio, date=TODAY, currency="EUR", market_value=777_123, is_latest=True
            )
    world.drain()
    return cut(world, agreement)


def cut(world: World, agreement: Agreement, schema: str = "harbour") -> Agreement:
    with world.within(schema):
        life.cut(
            agreement,
            by=factories.cast().administrator,
            institution=world.institution(schema),
            reason="As a test.",
        )
    return Agreement.objects.get(pk=agreement.pk)


def sealed_at(agreement: Agreement, schema: str) -> SealedRecords:
    return SealedRecords.objects.get(agreement=agreement, receiver__schema_name=schema)


def erase(today: datetime.date = LATER) -> None:
    assert sealing.erase_due(today=today, seconds=60) is False


def test_the_end_seals_at_both_parties_for_as_long_as_the_agreement_says(world: World) -> None:
    agreement = ended(world)
    today = timezone.now().date()
    for schema in ("aurora", "harbour"):
        kept = sealed_at(agreement, schema)
        assert (kept.retain_until.year, kept.erased_at) == (today.year + 5, None)
    lines = AgreementEvent.objects.filter(agreement=agreement, kind="sealed")
    assert {line.institution.schema_name for line in lines if line.institution} == {"aurora", "harbour"}


def test_an_agreement_under_which_nothing_was_kept_seals_nothing(world: World) -> None:
    agreement = world.agree()
    world.mandate(agreement)
    world.drain()
    cut(world, agreement)
    assert not SealedRecords.objects.exists()
    assert world.count("aurora", Mandate) == world.count("aurora", Client) == 0


def test_sealed_records_are_in_no_list_no_search_no_api_and_no_total(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    ended(world, mandate, agreement=agreement)
    for schema, paths in (
        (
            "aurora",
            ["clients/", "mandates/", "book/", "instructions/", "api/v1/clients/", "api/v1/mandates/"],
        ),
        ("harbour", ["book/", "api/v1/portfolios/", "api/v1/transactions/", "api/v1/holdings/"]),
    ):
        with world.within(schema):
            person = factories.cast().compliance
            browser = Browser(headers={"host": f"{schema}.localhost"})
            browser.force_login(person)
            for path in [*paths, "search/?q=Ann", "search/?q=Portfolio", "book/?q=Ann"]:
                answer = browser.get(f"/{path}", follow=True)
                assert answer.status_code == 200, path
                own = schema == "harbour" and "search" in path
                assert own or b"Ann Example" not in answer.content, path
                assert schema == "aurora" or b"Portfolio P-" not in answer.content, path
            listed = browser.get("/mandates/").content
            assert b"/portfolios/" not in listed.partition(b"<main")[2]
            for path in ("/mandates/", "/clients/", "/mandates/?_export=csv", "/clients/?_export=csv"):
                shown = browser.get(path).content.replace(b",", b"")
                assert b"777123" not in shown, path
            assert Portfolio.objects.visible_to(person).received().count() == 0
            assert Client.objects.visible_to(person).received().count() == 0


def test_what_is_due_is_erased_and_what_is_not_due_stays(world: World) -> None:
    agreement = ended(world)
    erase(timezone.now().date())
    assert world.count("aurora", Client) == 1
    assert world.count("harbour", Transaction) == 3
    erase()
    assert world.count("aurora", Client) == world.count("aurora", ContactDetail) == 0
    assert world.count("harbour", Portfolio) == world.count("harbour", Transaction) == 0
    assert world.count("harbour", Client) == world.count("harbour", Mandate) == 1
    assert world.count("aurora", Portfolio) == 1, "own rows are never erased"
    with world.within("aurora"):
        stub = Mandate.objects.get()
        assert (stub.client_id, stub.amount) == (None, None), "the portfolio and the decision still name it"
        assert MandateDecision.objects.get().mandate_id == stub.pk
    assert world.orphans("harbour") == world.orphans("aurora") == []
    assert sealed_at(agreement, "harbour").erased_at is not None
    lines = AgreementEvent.objects.filter(agreement=agreement, kind="erased")
    assert {line.data["rows"] > 0 for line in lines} == {True}
    assert len(lines) == 2
    with world.within("harbour"):
        assert AuditEntry.objects.filter(action="agreement.erased").exists()
    erase()
    assert AgreementEvent.objects.filter(agreement=agreement, kind="erased").count() == 2


def test_the_last_day_of_keeping_is_over_before_anything_is_erased(world: World) -> None:
    agreement = ended(world)
    last = sealed_at(agreement, "aurora").retain_until
    erase(last)
    assert world.count("aurora", Client) == 1
    erase(last + datetime.timedelta(days=1))
    assert world.count("aurora", Client) == 0


def test_two_workers_that_erase_at_once_say_so_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    agreement = ended(world)
    real, nested = erasing.erase, []

    def other_was_faster(sealed, **kwargs):
        if not nested:
            nested.append(sealed)
            erase()
        return real(sealed, **kwargs)

    monkeypatch.setattr(erasing, "erase", other_was_faster)
    erase()
    assert AgreementEvent.objects.filter(agreement=agreement, kind="erased").count() == 2


def test_a_row_that_an_own_row_names_stays_as_a_blanked_stub(world: World) -> None:
    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    with world.within("aurora"):
        Note.objects.create(client_id=mandate.client_id, text="Our own words.")
    ended(world, mandate, agreement=agreement)
    with world.within("harbour"):
        own = BankEntry.objects.create(
            portfolio=Portfolio.objects.get(), value_date=TODAY, amount=5, currency="EUR"
        )
    erase()
    with world.within("harbour"):
        stub = BankEntry.objects.get(pk=own.pk).portfolio
        assert stub is not None
        assert (stub.name, stub.retired_at is not None) == ("", True)
        assert Transaction.objects.count() == 0
    with world.within("aurora"):
        stub_client = Client.objects.get()
        assert (stub_client.name, stub_client.number) == ("", "")
        assert Note.objects.get().text == "Our own words."
    assert world.orphans("harbour") == world.orphans("aurora") == []


def test_erasing_goes_on_where_it_was_interrupted(world: World) -> None:
    agreement = world.agree()
    mandates = [world.mandate(agreement) for _ in range(5)]
    ended(world, *mandates, agreement=agreement)
    kept = sealed_at(agreement, "aurora")
    assert erasing.erase(kept, today=LATER, chunk=2)
    assert world.count("aurora", Client) == 3
    kept.refresh_from_db()
    assert kept.erase_after == sorted(mandate.pk for mandate in mandates)[1]
    erase()
    assert world.count("aurora", Client) == 0
    kept.refresh_from_db()
    assert kept.erased_at is not None


def test_a_hold_keeps_one_mandate_or_everything_until_it_is_lifted_or_runs_out(world: World) -> None:
    agreement = world.agree()
    held, other = world.mandate(agreement), world.mandate(agreement)
    ended(world, held, other, agreement=agreement)
    kept, aurora = sealed_at(agreement, "aurora"), world.institution("aurora")
    with world.within("aurora"):
        by = factories.cast().compliance
        with pytest.raises(DomainError):
            sealing.place_hold(kept, by=by, institution=aurora, reason=" ")
        with pytest.raises(DomainError):
            sealing.place_hold(kept, by=by, institution=world.institution("harbour"), reason="Not theirs.")
        one = sealing.place_hold(
            kept, by=by, institution=aurora, reason="A lawsuit.", mandate=Mandate.objects.get(pk=held.pk)
        )
        everything = sealing.place_hold(kept, by=by, institution=aurora, reason="An audit.")
        with pytest.raises(DomainError) as refused:
            sealing.place_hold(kept, by=by, institution=aurora, reason="Again.")
        assert refused.value.code == "held_already"
    erase()
    assert world.count("aurora", Client) == 2
    with world.within("aurora"):
        sealing.lift_hold(everything, by=by, institution=aurora, reason="The audit is over.")
    erase()
    with world.within("aurora"):
        assert [client.pk for client in Client.objects.all()] == [held.client_id]
    kept.refresh_from_db()
    assert kept.erased_at is None
    RecordsHold.objects.filter(pk=one.pk).update(until=LATER - datetime.timedelta(days=1))
    erase()
    assert world.count("aurora", Client) == 0
    kinds = AgreementEvent.objects.filter(agreement=agreement, institution=aurora).values_list(
        "kind", flat=True
    )
    assert {"held", "hold_lifted", "erased"} <= set(kinds)


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
        assert b"Entry 2" in browser.get(opened["Location"]).content
        assert browser.get(reverse("federation:sealed_detail", args=[kept.pk, mandate.pk])).status_code == 404


def opened(world: World, schema: str, agreement: Agreement, mandate: Mandate) -> tuple[Browser, str]:
    """Open what an institution keeps of a mandate; return compliance's browser and the page's address."""
    kept = sealed_at(agreement, schema)
    with world.within(schema):
        browser = Browser(headers={"host": f"{schema}.localhost"})
        browser.force_login(factories.cast().compliance)
        detail = reverse("federation:sealed_detail", args=[kept.pk, mandate.pk])
        answer = browser.post(detail, {"do": "open", "reason": "An audit."})
    return browser, answer["Location"]


def signed(world: World, agreement: Agreement) -> Mandate:
    """Return a mandate with terms longer than a line, whose client entered a formula for a name."""
    mandate = world.mandate(agreement)
    terms = {"management_fee": "0.008", "minimum_amount": "40000", "summary": "Calm. " * 40 + "The end."}
    with world.within("harbour"):
        Mandate.objects.filter(pk=mandate.pk).update(terms=terms)
        Client.objects.filter(pk=mandate.client_id).update(last_name="=1+1")
    ended(world, mandate, agreement=agreement)
    return mandate


def test_sealed_terms_are_read_in_full_and_linked_records_by_their_names(world: World) -> None:
    agreement = world.agree()
    mandate = signed(world, agreement)
    browser, url = opened(world, "aurora", agreement, mandate)
    with world.within("aurora"):
        page = browser.get(url).content.decode()
        client = Client.objects.get()
    assert "Management fee a year: 0.80%" in page
    assert "Minimum: 40,000" in page
    assert "The end." in page
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


def test_f13_a_sealed_client_lives_again_under_a_new_agreement_and_goes_back_after_it(world: World) -> None:
    first = world.agree()
    old = world.mandate(first)
    ended(world, old, agreement=first)
    second = world.agree()
    new = world.mandate(second, client=old.client)
    world.drain()
    with world.within("aurora"):
        assert Client.objects.get().retired_at is None
        assert ContactDetail.objects.get().retired_at is None
        assert Mandate.objects.get(pk=old.pk).retired_at is not None, "its own mandate stays sealed"
        assert Mandate.objects.get(pk=new.pk).retired_at is None
    world.assert_in_step(second)
    world.decide(new, "rejected")
    world.drain()
    with world.within("aurora"):
        client = Client.objects.get()
        assert (client.retired_at is not None, client.name) == (True, "Ann Example"), "sealed, not deleted"
        assert ContactDetail.objects.get().retired_at is not None
    assert world.orphans("aurora") == []


def test_f13_erasing_one_agreements_records_leaves_what_another_brought(world: World) -> None:
    first = world.agree()
    old = world.mandate(first)
    ended(world, old, agreement=first)
    second = world.agree()
    new = world.mandate(second, client=old.client)
    world.drain()
    world.decide(new, "accepted")
    world.portfolio(new, transactions=2)
    world.drain()
    erase()
    with world.within("aurora"):
        assert Client.objects.get().name == "Ann Example"
        assert Mandate.objects.get(pk=new.pk).retired_at is None
    assert world.count("harbour", Transaction) == 2
    world.assert_in_step(second)
    cut(world, second)
    with world.within("aurora"):
        assert Client.objects.get().retired_at is not None
    erase()
    assert world.count("aurora", Client) == 0
    assert world.orphans("harbour") == world.orphans("aurora") == []


def test_a_sealed_record_cannot_be_changed(world: World) -> None:
    from django.db import ProgrammingError, transaction

    ended(world)
    with world.within("aurora"):
        for change in (
            lambda: Client.objects.update(name="X"),
            lambda: Client.objects.update(retired_at=None),
        ):
            with pytest.raises(ProgrammingError, match="read-only"), transaction.atomic():
                change()


def test_grants_on_what_is_erased_go_with_it(world: World) -> None:
    from guardian.models import UserObjectPermission

    agreement = world.agree()
    mandate = world.mandate(agreement)
    world.drain()
    with world.within("aurora"):
        assign_perm("clients.view_client", factories.cast().stranger, Client.objects.get())
    ended(world, mandate, agreement=agreement)
    erase()
    assert world.count("aurora", UserObjectPermission) == 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM public.federation_sealedrecords WHERE erased_at IS NULL")
        assert cursor.fetchone() == (0,)


def test_p2_a_sealed_row_that_comes_alive_shows_only_what_its_new_agreement_shares(world: World) -> None:
    first, second = world.agree(), withhold(world, world.agree(), "clients.Client.national_id")
    client = personal(world)
    ended(world, world.mandate(first, client=client), agreement=first)
    assert received(world) == ("CH", "N-1", "Ada"), "sealed with its content"
    world.mandate(second, client=client)
    world.drain()
    assert received(world) == ("CH", "", "Ada")
    world.assert_in_step(second)
    third = world.agree()
    world.mandate(third, client=client)
    world.drain()
    assert received(world) == ("CH", "N-1", "Ada"), "the third shares it anew"
    world.assert_in_step(second)
    world.assert_in_step(third)


def test_p2_a_sealed_set_does_not_grow_by_what_a_later_agreement_brought(world: World) -> None:
    first, second = withhold(world, world.agree(), "clients.Client.national_id"), world.agree()
    client = personal(world)
    ended(world, world.mandate(first, client=client), agreement=first)
    later = world.mandate(second, client=client)
    world.drain()
    with world.within("harbour"):
        ContactDetail.objects.create(client_id=client.pk, kind="phone", value="+41 44 000 00 00")
    world.drain()
    assert received(world) == ("CH", "N-1", "Ada")
    assert world.count("aurora", ContactDetail, value__startswith="+41", retired_at=None) == 1
    with world.within("harbour"):
        Mandate.objects.filter(pk=later.pk).update(status=Mandate.Status.WITHDRAWN)
    world.drain()
    assert received(world) == ("CH", "", "Ada")
    with world.within("aurora"):
        assert Client.objects.get().retired_at is not None
        assert [contact.kind for contact in ContactDetail.objects.all()] == ["email"]
    assert world.orphans("aurora") == []


def test_p2_a_sealed_set_does_not_grow_by_what_had_never_come_under_its_agreement(world: World) -> None:
    first, second = world.agree(), world.agree()
    client = personal(world)
    mandate = world.mandate(first, client=client)
    world.drain()
    world.decide(mandate, "accepted")
    world.drain()
    world.suspend(first)
    with world.within("harbour"):
        ContactDetail.objects.create(client_id=client.pk, kind="phone", value="+41 44 000 00 00")
    cut(world, first)
    later = world.mandate(second, client=client)
    world.drain()
    assert world.count("aurora", ContactDetail, retired_at=None) == 2
    with world.within("harbour"):
        Mandate.objects.filter(pk=later.pk).update(status=Mandate.Status.WITHDRAWN)
    world.drain()
    with world.within("aurora"):
        assert Client.objects.get().retired_at is not None
        assert [contact.kind for contact in ContactDetail.objects.all()] == ["email"]
    assert world.orphans("aurora") == []
    erase()
    assert world.count("aurora", Client) == 0
    assert not SealedKeys.objects.filter(sealed__receiver__schema_name="aurora").exists()


def test_f13_what_another_agreement_held_at_the_end_is_sealed_when_it_lets_go(world: World) -> None:
    first, second = world.agree(), world.agree()
    client = personal(world)
    old, new = world.mandate(first, client=client), world.mandate(second, client=client)
    world.drain()
    world.decide(old, "accepted")
    world.drain()
    cut(world, first)
    assert world.count("aurora", Client, retired_at=None) == 1
    with world.within("harbour"):
        Mandate.objects.filter(pk=new.pk).update(status=Mandate.Status.WITHDRAWN)
    world.drain()
    with world.within("aurora"):
        sealed = Client.objects.get()
        assert (sealed.name, sealed.retired_at is not None) == (client.name, True)
