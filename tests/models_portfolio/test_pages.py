"""Pages of one's own models, their versions, views and offers."""

import datetime
import re
import uuid
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from models_portfolio.effective import today
from models_portfolio.models import Offer
from models_portfolio.services import end_view, new_draft, offer_model, publish_view
from tests.factories import Cast
from tests.models_portfolio import make
from tests.trading import make as trading
from tests.trading.pages import text_of

D = Decimal


def balanced(cast: Cast):
    return make.published(
        cast.manager,
        {
            make.security("Apple"): "0.50",
            make.security("Bund", asset_class="fixed_income"): "0.40",
            make.security("Nestlé"): "0.05",
            None: "0.05",
        },
    )


def test_the_arithmetic_of_views_stands_on_the_page(in_aurora: Cast, aurora, browse):
    model = balanced(in_aurora)
    version = model.versions.get()
    publish_view(
        version=version,
        security=make.security("Apple"),
        tilt=D("0.05"),
        rationale="Strong orders",
        by=in_aurora.manager,
        valid_to=today() + datetime.timedelta(days=5),
    )
    publish_view(
        version=version, asset_class="fixed_income", tilt=D("-0.03"), rationale="Yields", by=in_aurora.manager
    )

    shown = text_of(
        browse(aurora, in_aurora.manager).get(reverse("models_portfolio:model_detail", args=[model.pk]))
    )

    assert "Apple Equities 50.00% +5.00 pp +5.00 pp 55.00%" in shown
    assert "Bund Fixed income 40.00% −3.00 pp −3.00 pp 37.00%" in shown
    assert "Nestlé Equities 5.00% neutral −1.00 pp 4.00%" in shown
    assert "Cash Cash 5.00% neutral −1.00 pp 4.00%" in shown
    assert "ends in 5 days" in shown
    assert "Strong orders" in shown
    # As the audit trail names them.
    assert [str(view) for view in version.views.order_by("tilt")] == [
        "Fixed income −3.00\u00a0pp", "Apple +5.00\u00a0pp",
    ]  # fmt: skip


def test_the_risk_of_a_model_stands_once_offers_or_portfolios_rest_on_it(in_aurora: Cast, aurora, browse):
    model = make.published(in_aurora.manager, {None: "1"}, "RISKY", risk_level=6)
    manager, address = browse(aurora, in_aurora.manager), f"/models/{model.pk}/edit/"
    form = {"code": "RISKY", "name": "Bold", "currency": "EUR", "risk_level": "5", "drift_tolerance": "5"}
    assert manager.post(address, form).status_code == 302, "nobody rests on it yet"

    # Else it would be lowered, a cautious client moved there without an instruction, and raised again.
    offer_model(model=model, by=in_aurora.manager)
    refused = manager.post(address, {**form, "risk_level": "2"})
    assert "Offers or portfolios rest on this. Create another model" in text_of(refused)
    assert manager.post(address, {**form, "name": "Bolder"}).status_code == 302
    model.refresh_from_db()
    assert (model.name, model.risk_level) == ("Bolder", 5)


def test_a_view_that_is_not_applied_says_why(in_aurora: Cast, aurora, browse):
    model = balanced(in_aurora)
    view = publish_view(
        version=model.versions.get(),
        security=make.security("Apple"),
        tilt=D("0.05"),
        rationale="Later",
        valid_from=today() + datetime.timedelta(days=3),
        by=in_aurora.manager,
    )
    shown = text_of(
        browse(aurora, in_aurora.manager).get(reverse("models_portfolio:model_detail", args=[model.pk]))
    )
    assert view.tilt == D("0.05")
    assert "not begun yet" in shown
    assert "Apple Equities 50.00% neutral 0.00 pp 50.00%" in shown


def test_a_draft_is_edited_searched_and_published(in_aurora: Cast, aurora, browse):
    model = balanced(in_aurora)
    apple, microsoft = make.security("Apple"), make.security("Microsoft")
    page = browse(aurora, in_aurora.manager)
    editor = page.post(reverse("models_portfolio:draft_create", args=[model.pk]), follow=True)
    draft = model.versions.get(number=2)
    url = reverse("models_portfolio:draft_edit", args=[draft.pk])
    assert "Preview and publish" in text_of(editor)

    found = page.get(reverse("models_portfolio:target_search", args=[draft.pk]) + "?q=micro")
    assert "Microsoft" in text_of(found)
    row = page.get(reverse("models_portfolio:target_row", args=[draft.pk]) + f"?key=security:{microsoft.pk}")
    assert f'name="weight-security:{microsoft.pk}"'.encode() in row.content

    keys = [f"security:{apple.pk}", f"security:{microsoft.pk}", "cash"]
    data = {"key": keys, f"weight-{keys[0]}": "60", f"weight-{keys[1]}": "30,5", "weight-cash": "9"}
    short = text_of(page.post(url, data, follow=True))
    assert "The weights sum to 99.50%, not to 100%." in short
    assert "Preview and publish" not in short
    prepare = reverse("models_portfolio:draft_prepare", args=[draft.pk])
    refused = page.post(prepare, {"effective_from": today()}, follow=True)
    assert "not to 100" in text_of(refused)
    tomorrow = today() + datetime.timedelta(days=1)
    beside = {"effective_from": tomorrow, "comment": "Typed before saving"}
    saved = page.post(url, {**data, "weight-cash": "9.5", **beside}, follow=True)
    assert saved.context["publish_form"].initial == beside
    page.post(url, {**data, "weight-cash": "9.5", "effective_from": "soon"})
    assert model.versions.get(number=2).effective_from == tomorrow
    yesterday = {"effective_from": today() - datetime.timedelta(days=1)}
    assert "today or later" in text_of(page.post(prepare, yesterday, follow=True, headers={"referer": url}))

    preview = page.post(prepare, {"effective_from": today(), "comment": "More"}, follow=True)

    shown = text_of(preview)
    assert "Apple 50.00% 60.00% +10.00 pp" in shown
    assert "Microsoft Added none 30.50% +30.50 pp" in shown
    assert "Nestlé Removed 5.00% none −5.00 pp" in shown
    assert "More" in shown
    assert "the model is not offered to a partner" in shown
    assert model.versions.get(number=2).is_draft
    page.post(reverse("models_portfolio:draft_publish", args=[draft.pk]), {"seen": seen_on(preview)})

    assert make.current_targets(model)[microsoft.pk] == D("0.305")
    shown = text_of(page.get(reverse("models_portfolio:model_detail", args=[model.pk])))
    assert "What changed from version 1 to 2" in shown
    assert "Microsoft Added none 30.50% +30.50 pp" in shown
    assert "One-way turnover 45.00%" in shown


def seen_on(response) -> str:
    return re.search(r'name="seen" value="(\w+)"', response.content.decode()).group(1)


def test_what_is_published_is_what_the_page_before_showed(in_aurora: Cast, aurora, browse):
    model = balanced(in_aurora)
    draft = new_draft(model=model, by=in_aurora.manager)
    what = {
        "version": draft,
        "security": make.security("Apple"),
        "rationale": "Orders",
        "by": in_aurora.manager,
    }
    view = publish_view(tilt=D("0.50"), **what)
    page = browse(aurora, in_aurora.manager)
    url = reverse("models_portfolio:draft_publish", args=[draft.pk])
    preview = page.get(url)
    assert "Apple Orders +50.00 pp" in text_of(preview)
    assert "Apple Equities 50.00% +50.00 pp +50.00 pp 100.00%" in text_of(preview)

    def confirm(seen: str):
        return text_of(page.post(url, {"seen": seen}, follow=True, headers={"referer": url}))

    assert "This has changed since you looked at it" in confirm("")
    # The slip is mended in another window: who still looks at the old figures publishes neither.
    end_view(view=view, by=in_aurora.manager)
    publish_view(tilt=D("0.05"), **what)
    again = confirm(seen_on(preview))
    assert "This has changed since you looked at it" in again
    assert "Apple Equities 50.00% +5.00 pp +5.00 pp 55.00%" in again
    looked = seen_on(page.get(url))
    offer_model(model=model, by=in_aurora.manager, agreement=uuid.uuid4())
    assert "This has changed since you looked at it" in confirm(looked)
    assert model.versions.get(number=2).is_draft

    assert "Version 2 is published." in confirm(seen_on(page.get(url)))
    assert make.current_targets(model)[make.security("Apple").pk] == D("0.55")
    # The browser's Back leads there again, and so does a second press of the button.
    edit = reverse("models_portfolio:draft_edit", args=[draft.pk])
    for back in (page.get(edit, follow=True), page.get(url, follow=True), page.post(url, {}, follow=True)):
        assert back.redirect_chain[-1][0] == reverse("models_portfolio:model_detail", args=[model.pk])
        assert "Version 2 is published and changes no more." in text_of(back)


def test_a_view_for_followers_is_shown_before_it_goes_out(in_aurora: Cast, aurora, browse):
    model, apple = balanced(in_aurora), make.security("Apple")
    version = model.versions.get()
    page = browse(aurora, in_aurora.manager)
    url = reverse("models_portfolio:view_create", args=[version.pk])
    data = {"about": str(apple.pk), "tilt": "5", "rationale": "Strong orders", "valid_from": today()}

    preview = page.post(url, data)

    shown = text_of(preview)
    assert "Apple Changed 50.00% 55.00% +5.00 pp" in shown
    assert "Apple Equities 50.00% +5.00 pp +5.00 pp 55.00%" in shown
    assert not version.views.exists()
    assert "Strong orders" in page.post(url, {**data, "change": "1"}).content.decode()
    publish_view(
        version=version, asset_class="fixed_income", tilt=D("-0.03"), rationale="Yields", by=in_aurora.manager
    )
    late = page.post(url, {**data, "seen": seen_on(preview)})
    assert late.status_code == 409
    assert "Apple Changed 52.50% 55.00% +2.50 pp" in text_of(late)
    assert "Bund Fixed income 40.00% −3.00 pp −3.00 pp 37.00%" in text_of(late)
    assert version.views.count() == 1

    assert page.post(url, {**data, "seen": seen_on(late)}).status_code == 302
    assert make.current_targets(model)[apple.pk] == D("0.55")


def test_what_followers_receive_is_shown_before_a_view_ends(in_aurora: Cast, aurora, browse):
    model, apple = balanced(in_aurora), make.security("Apple")
    version = model.versions.get()
    common = {"version": version, "rationale": "Orders", "by": in_aurora.manager}
    view = publish_view(security=apple, tilt=D("0.05"), **common)
    page = browse(aurora, in_aurora.manager)
    url = reverse("models_portfolio:view_end", args=[view.pk])
    detail = reverse("models_portfolio:model_detail", args=[model.pk])
    assert f'href="{url}"' in page.get(detail).content.decode()

    preview = page.get(url)

    assert "Apple Changed 55.00% 50.00% −5.00 pp" in text_of(preview)
    assert "the model is not offered to a partner" in text_of(preview)
    publish_view(asset_class="fixed_income", tilt=D("-0.03"), **common)
    late = page.post(url, {"seen": seen_on(preview)}, follow=True, headers={"referer": url})
    assert "This has changed since you looked at it" in text_of(late)
    assert make.current_targets(model)[apple.pk] == D("0.55")
    assert "The view has ended." in text_of(page.post(url, {"seen": seen_on(late)}, follow=True))
    assert make.current_targets(model)[apple.pk] < D("0.53")
    assert page.get(url)["Location"] == detail


def test_what_was_typed_stays_when_it_cannot_be_saved(in_aurora: Cast, aurora, browse):
    model = make.model(in_aurora.manager)
    url = reverse("models_portfolio:draft_edit", args=[model.versions.get().pk])
    page = browse(aurora, in_aurora.manager)
    response = page.post(url, {"key": ["cash"], "weight-cash": "a lot"})
    assert response.status_code == 422
    assert 'value="a lot"' in response.content.decode()
    assert "Cash: Enter weights as numbers in percent." in text_of(response)
    response = page.post(url, {"key": ["cash"], "weight-cash": "2e1"})
    assert "Cash: Write the number out in digits, such as 1000000." in text_of(response)
    for bounds in ({"maximum-cash": "99999999999999"}, {"minimum-cash": "-9999999999"}):
        response = page.post(url, {"key": ["cash"], "weight-cash": "50", **bounds})
        assert response.status_code == 422
        assert "Cash: bounds lie between 0% and 100%." in text_of(response)


def test_a_new_model_asks_for_its_targets_next(in_aurora: Cast, aurora, browse):
    page = browse(aurora, in_aurora.manager)
    data = {"code": "NEW", "name": "New model", "currency": "EUR", "risk_level": "3", "drift_tolerance": "5"}
    response = page.post(reverse("models_portfolio:model_create"), data, follow=True)
    assert "No targets yet" in text_of(response)
    again = page.post(reverse("models_portfolio:model_create"), data)
    assert "This model code is taken" in text_of(again)


def test_a_view_without_room_keeps_the_form_and_says_why(in_aurora: Cast, aurora, browse):
    apple = make.security("Apple")
    model = make.model(in_aurora.manager)
    draft = model.versions.get()
    lines = [
        make.line(apple, "0.5"),
        make.line(make.security("Bund"), "0.4", is_locked=True),
        make.line(make.security("Nestlé"), "0.1"),
    ]
    make.save_draft(version=draft, lines=lines, by=in_aurora.manager)
    page = browse(aurora, in_aurora.manager)
    url = reverse("models_portfolio:view_create", args=[draft.pk])
    data = {"about": str(apple.pk), "tilt": "20", "rationale": "All in", "valid_from": today()}

    response = page.post(url, data)

    assert "There is no room for this tilt: Nestlé cannot move further." in text_of(response)
    assert "All in" in response.content.decode()
    assert page.post(url, {**data, "tilt": "-2"}).status_code == 302


def test_an_offer_to_own_clients_opens_and_closes(in_aurora: Cast, aurora, browse):
    model = balanced(in_aurora)
    page = browse(aurora, in_aurora.manager)
    data = {
        "name": "Balanced",
        "minimum_amount": "50000",
        "management_fee": "0.9",
        "custody_fee": "0.1",
        "product_cost": "0",
        "horizon_years": "6",
    }
    page.post(reverse("models_portfolio:offer_create", args=[model.pk]), data)
    offer = Offer.objects.get()
    assert (offer.agreement, offer.total_cost) == (None, D("0.01"))
    page.post(reverse("models_portfolio:offer_switch", args=[offer.pk]))
    offer.refresh_from_db()
    assert not offer.is_open


@pytest.mark.parametrize("person", ["stranger", "administrator", "advisor"])
def test_models_do_not_exist_for_whom_they_are_not(in_aurora: Cast, aurora, browse, person: str):
    model = balanced(in_aurora)
    page = browse(aurora, getattr(in_aurora, person))
    assert page.get(reverse("models_portfolio:model_list")).status_code == 404
    assert page.get(reverse("models_portfolio:model_detail", args=[model.pk])).status_code == 404
    assert page.post(reverse("models_portfolio:draft_create", args=[model.pk])).status_code == 404


def test_compliance_reads_models_and_changes_nothing(in_aurora: Cast, aurora, browse):
    model = balanced(in_aurora)
    draft = new_draft(model=model, by=in_aurora.manager)
    page = browse(aurora, in_aurora.compliance)
    shown = text_of(page.get(reverse("models_portfolio:model_detail", args=[model.pk])))
    assert "Weights of version 1" in shown
    assert "Continue draft" not in shown
    for name in ("draft_edit", "draft_publish", "view_create"):
        assert page.post(reverse(f"models_portfolio:{name}", args=[draft.pk])).status_code == 404


@pytest.mark.parametrize("name", ["models_portfolio:model_list", "models_portfolio:received_list"])
def test_a_list_without_models_says_what_to_do(in_aurora: Cast, aurora, browse, name: str):
    response = browse(aurora, in_aurora.manager).get(reverse(name))
    assert "No models yet" in text_of(response) or "No partner shares models" in text_of(response)


def test_the_page_of_a_model_takes_as_many_queries_for_many_followers_as_for_few(
    in_aurora: Cast, aurora, browse
):
    model = balanced(in_aurora)
    offer_model(model=model, by=in_aurora.manager)
    page = browse(aurora, in_aurora.manager)
    url = reverse("models_portfolio:model_detail", args=[model.pk])
    counts = []
    for numbers in (["P-1"], ["P-2", "P-3", "P-4", "P-5"]):
        for number in numbers:
            trading.portfolio(in_aurora, model, number)
        page.get(url)
        with CaptureQueriesContext(connection) as queries:
            assert "Following portfolios" in text_of(page.get(url))
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_a_portfolio_is_moved_to_another_model_by_hand(in_aurora: Cast, aurora, browse):
    model = balanced(in_aurora)
    portfolio = trading.portfolio(in_aurora, None)
    page = browse(aurora, in_aurora.manager)
    url = reverse("models_portfolio:model_assign", args=[portfolio.pk])

    assert browse(aurora, in_aurora.compliance).get(url).status_code == 404
    page.post(url, {"model": str(model.pk)})
    assert portfolio.model_assignments.get().model == model
    assert "follows this model already" in text_of(page.post(url, {"model": str(model.pk)}))
