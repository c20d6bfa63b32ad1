"""Who gives advice, and whoever follows it with clients that the other must know nothing of."""

import random

from django.utils import timezone
from django_tenants.utils import tenant_context

from clients.models import Client, ContactDetail, Mandate
from models_portfolio.models import ModelAssignment, ModelPortfolio, ModelVersion, Offer, Target, View
from portfolios.models import Portfolio, Security, security_id
from tests.chaos.writers import ISINS, MOST_CLIENTS, Operation, Writer, new_key
from tests.federation.mirror.world import TODAY

# Stands in all that a follower writes of its clients.
MARK = "known to the follower alone"
MOST_MODELS = 60


class AdviceWriter(Writer):
    """Keeps models at the manager, and clients with their portfolios at the channel."""

    def operations(self) -> dict[str, tuple[Operation, int]]:
        return OPERATIONS


def offer_a_model(writer: Writer, draw: random.Random) -> None:
    with tenant_context(writer.manager):
        if ModelPortfolio.objects.own().count() > MOST_MODELS:
            return
        key = new_key(draw)
        model = ModelPortfolio.objects.create(
            pk=key, code=f"MP-{key.hex[:10]}", name="New", currency="EUR", risk_level=3
        )
        _draft(model, 1, draw)
        Offer.objects.create(
            pk=new_key(draw),
            model=model,
            agreement=writer.agreement.pk,
            name="New",
            risk_level=3,
            currency="EUR",
        )


def draft(writer: Writer, draw: random.Random) -> None:
    with tenant_context(writer.manager):
        model = writer.pick(draw, ModelPortfolio, origin=None)
        if model and not model.versions.filter(state="draft").exists():
            _draft(model, model.versions.count() + 1, draw)


def _draft(model: ModelPortfolio, number: int, draw: random.Random) -> None:
    version = ModelVersion.objects.create(pk=new_key(draw), model=model, number=number, effective_from=TODAY)
    isin = draw.choice([each for each in ISINS if each])
    security, _ = Security.objects.get_or_create(
        pk=security_id(isin),
        defaults={"isin": isin, "name": isin, "asset_class": "equity", "currency": "EUR"},
    )
    Target.objects.create(pk=new_key(draw), version=version, security=security, weight="0.8")
    Target.objects.create(pk=new_key(draw), version=version, weight="0.2")


def publish(writer: Writer, draw: random.Random) -> None:
    with tenant_context(writer.manager):
        version = writer.pick(draw, ModelVersion, origin=None, state="draft")
        if version:
            ModelVersion.objects.filter(pk=version.pk).update(state="published", published_at=timezone.now())


def take_a_view(writer: Writer, draw: random.Random) -> None:
    with tenant_context(writer.manager):
        version = writer.pick(draw, ModelVersion, origin=None)
        if version:
            View.objects.create(
                pk=new_key(draw),
                version=version,
                asset_class="equity",
                tilt="0.02",
                rationale=f"View {draw.random()}",
                valid_from=TODAY,
                published_at=timezone.now() if draw.random() < 0.7 else None,
            )


def change_a_view(writer: Writer, draw: random.Random) -> None:
    """One that is published may only end."""
    with tenant_context(writer.manager):
        view = writer.pick(draw, View, origin=None)
        if view:
            values = {"valid_to": TODAY} if view.published_at else {"published_at": timezone.now()}
            View.objects.filter(pk=view.pk).update(**values)


def rename(writer: Writer, draw: random.Random) -> None:
    with tenant_context(writer.manager):
        model = writer.pick(draw, ModelPortfolio, origin=None)
        if model:
            ModelPortfolio.objects.filter(pk=model.pk).update(name=f"Renamed {draw.random()}")


def withdraw_or_offer_again(writer: Writer, draw: random.Random) -> None:
    with tenant_context(writer.manager):
        offer = writer.pick(draw, Offer, origin=None)
        if offer:
            Offer.objects.filter(pk=offer.pk).update(agreement=draw.choice([writer.agreement.pk, None]))


def take_on(writer: Writer, draw: random.Random) -> None:
    """A client with a portfolio; the mandate names the agreement, wrongly: it has to stay at home all the same."""
    with tenant_context(writer.channel):
        if Client.objects.own().count() > MOST_CLIENTS:
            return
        key = new_key(draw)
        client = Client.objects.create(
            pk=key,
            number=f"C-{key.hex[:10]}",
            name=f"{draw.choice('ABC')} {MARK}",
            national_id=f"{key.hex[:8]} {MARK}",
        )
        ContactDetail.objects.create(
            pk=new_key(draw), client=client, kind="email", value=f"{draw.random()} {MARK}"
        )
        mandate = Mandate.objects.create(
            pk=new_key(draw),
            number=f"M-{key.hex[:10]}",
            client=client,
            agreement=writer.agreement.pk,
            status="submitted",
            submission=1,
            submitted_at=timezone.now(),
            signed_on=TODAY,
            disclosure_authorised_on=TODAY,
            answer=MARK,
        )
        Portfolio.objects.create(
            pk=new_key(draw),
            number=f"P-{key.hex[:10]}",
            name=f"Portfolio {MARK}",
            mandate=mandate,
            currency="EUR",
            opened_on=TODAY,
        )


def edit(writer: Writer, draw: random.Random) -> None:
    with tenant_context(writer.channel):
        client = writer.pick(draw, Client, origin=None)
        if client:
            Client.objects.filter(pk=client.pk).update(name=f"Client {draw.random()} {MARK}")
            ContactDetail.objects.own().filter(client=client).update(value=f"{draw.random()} {MARK}")


def follow(writer: Writer, draw: random.Random) -> None:
    """A portfolio of the channel's own comes to follow a model that it received."""
    with tenant_context(writer.channel):
        portfolio = writer.pick(draw, Portfolio, origin=None)
        model = writer.pick(draw, ModelPortfolio, origin=writer.manager.pk, retired_at=None)
        if portfolio and model:
            ModelAssignment.objects.filter(portfolio=portfolio).delete()
            ModelAssignment.objects.create(
                pk=new_key(draw), portfolio=portfolio, model=model, valid_from=TODAY
            )


# name → what is done, and how often
OPERATIONS: dict[str, tuple[Operation, int]] = {
    "offer_a_model": (offer_a_model, 4),
    "draft": (draft, 4),
    "publish": (publish, 6),
    "take_a_view": (take_a_view, 6),
    "change_a_view": (change_a_view, 4),
    "rename": (rename, 4),
    "withdraw_or_offer_again": (withdraw_or_offer_again, 3),
    "take_on": (take_on, 4),
    "edit": (edit, 6),
    "follow": (follow, 4),
}
