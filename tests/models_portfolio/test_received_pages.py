"""Pages of models that a partner publishes: what changes, and the decision on it."""

from decimal import Decimal

from django.urls import reverse

from models_portfolio.models import Adoption
from models_portfolio.services import accept
from tests.factories import Cast
from tests.models_portfolio import make
from tests.trading import make as trading
from tests.trading.pages import text_of
from trading.models import Proposal

D = Decimal


def test_a_received_version_shows_changes_and_effect_and_is_accepted_with_proposals(
    in_meadow: Cast, meadow, browse
):
    apple, bund = make.security("Apple"), make.security("Bund")
    model = make.received({apple: "0.50", bund: "0.45", None: "0.05"})
    accept(version=model.versions.get(), by=in_meadow.manager)
    portfolio = trading.portfolio(in_meadow, model)
    second = make.received_version(model, {apple: "0.70", bund: "0.25", None: "0.05"}, 2)
    page = browse(meadow, in_meadow.manager)
    url = reverse("models_portfolio:received_detail", args=[model.pk])
    before = page.get(url).context["seen"]
    view = make.received_view(second, apple, "0.05")

    listed = page.get(reverse("models_portfolio:received_list"))
    assert "Waits for you" in text_of(listed)
    assert 'data-label="Your decision"' in listed.content.decode()
    answer = page.get(url)
    shown, seen = text_of(answer), answer.context["seen"]
    assert f'name="seen" value="{view.pk}"' in answer.content.decode()
    assert "Apple Changed 50.00% 75.00% +25.00 pp" in shown
    assert "P-1 Client C-P-1" in shown
    assert make.current_targets(model)[apple.pk] == D("0.50")
    for name in ("models_portfolio:version_accept", "trading:adopt_and_rebalance"):
        refused = page.post(reverse(name, args=[second.pk]), {"seen": before})
        assert "has published a view on this version since the page was shown" in text_of(refused)
    assert not Adoption.objects.filter(version=second).exists()
    adopts = reverse("trading:adopt_and_rebalance", args=[second.pk])
    response = page.post(adopts, {"seen": seen}, follow=True)

    assert "1 of 1" in text_of(response)
    assert make.current_targets(model)[apple.pk] == D("0.75")
    proposal = Proposal.objects.get(portfolio=portfolio)
    assert (proposal.reason, proposal.model_version) == ("model_change", second)
    listed = reverse("models_portfolio:received_list")
    assert "Followed version" in text_of(page.get(listed))
    assert "Nothing matches" in text_of(page.get(listed, {"decision": "declined"}))
    assert page.get(listed, {"decision": "accepted", "sort": "-decision"}).context["table"].rows
    assert page.get(listed, {"_export": "csv"}).status_code == 200


def test_declining_needs_a_reason_and_a_later_view_is_decided_by_itself(in_meadow: Cast, meadow, browse):
    apple = make.security("Apple")
    model = make.received({apple: "0.50", make.security("Bund"): "0.50"})
    trading.portfolio(in_meadow, model)
    first = model.versions.get()
    view = make.received_view(first, apple, "0.10")
    page = browse(meadow, in_meadow.manager)
    shown = text_of(page.get(reverse("models_portfolio:received_detail", args=[model.pk])))
    assert "A new view waits" in shown
    assert "waits for your decision" in shown or "Accept view" in shown

    page.post(reverse("models_portfolio:view_decide", args=[view.pk]), {"decision": "accept"})
    assert make.current_targets(model)[apple.pk] == D("0.60")
    second = make.received_version(model, {apple: "1"}, 2)
    refused = page.post(reverse("models_portfolio:version_decline", args=[second.pk]), {"reason": ""})
    assert refused.status_code == 409
    page.post(reverse("models_portfolio:version_decline", args=[second.pk]), {"reason": "Too narrow"})
    assert Adoption.objects.get(version=second).decision == "declined"
    assert "Too narrow" in text_of(page.get(reverse("models_portfolio:received_detail", args=[model.pk])))


def test_a_received_model_has_no_button_that_cannot_work(in_meadow: Cast, meadow, browse):
    model = make.received({make.security("Apple"): "1"})
    page = browse(meadow, in_meadow.manager)
    shown = text_of(page.get(reverse("models_portfolio:model_detail", args=[model.pk])))
    assert "Received from" in shown
    for words in ("New version", "New view", "Edit"):
        assert words not in shown
    for name in ("draft_create", "model_edit"):
        assert page.post(reverse(f"models_portfolio:{name}", args=[model.pk])).status_code == 404
