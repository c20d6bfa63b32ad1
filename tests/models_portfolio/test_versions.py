"""Versions of a model: drafts, publication, sub-models, and what never changes afterwards."""

import datetime
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from accounts.errors import DomainError
from models_portfolio.calculations.weights import CASH
from models_portfolio.effective import today
from models_portfolio.models import ModelVersion, Target
from models_portfolio.services import (
    discard_draft,
    end_view,
    new_draft,
    offer_model,
    publish,
    publish_view,
    save_draft,
)
from tests.factories import Cast
from tests.models_portfolio import make

D = Decimal


def test_a_draft_whose_weights_do_not_sum_to_one_exactly_cannot_be_published(in_aurora: Cast):
    model = make.model(in_aurora.manager)
    draft = model.versions.get()
    save_draft(version=draft, lines=[make.line(make.security("Apple"), "0.9999999999")], by=in_aurora.manager)

    with pytest.raises(DomainError, match=r"99\.99999999"):
        publish(version=draft, by=in_aurora.manager)
    draft.refresh_from_db()
    assert draft.is_draft


def test_the_database_refuses_to_change_a_published_version_or_its_targets(in_aurora: Cast):
    apple = make.security("Apple")
    model = make.published(in_aurora.manager, {apple: "0.9", None: "0.1"})
    version = model.versions.get()
    target = version.targets.get(security=apple)

    attempts = [
        lambda: ModelVersion.objects.filter(pk=version.pk).update(comment="Other"),
        lambda: ModelVersion.objects.filter(pk=version.pk).delete(),
        lambda: Target.objects.filter(pk=target.pk).update(weight=D("0.5")),
        lambda: Target.objects.filter(pk=target.pk).delete(),
        lambda: Target.objects.create(version=version, security=make.security("Microsoft"), weight=0),
    ]
    for attempt in attempts:
        with pytest.raises(IntegrityError, match="published version"), transaction.atomic():
            attempt()


def test_a_published_view_can_only_be_ended(in_aurora: Cast):
    apple = make.security("Apple")
    model = make.published(in_aurora.manager, {apple: "0.5", make.security("Bund"): "0.5"})
    view = publish_view(
        version=model.versions.get(), security=apple, tilt=D("0.05"), rationale="Cheap", by=in_aurora.manager
    )
    assert make.current_targets(model)[apple.pk] == D("0.55")

    with pytest.raises(IntegrityError, match="published view"), transaction.atomic():
        type(view).objects.filter(pk=view.pk).update(tilt=D("0.10"))
    end_view(view=view, by=in_aurora.manager)

    assert make.current_targets(model)[apple.pk] == D("0.5")


def test_saving_a_published_version_says_to_start_a_draft(in_aurora: Cast):
    model = make.published(in_aurora.manager, {None: "1"})

    with pytest.raises(DomainError, match="never changes"):
        save_draft(version=model.versions.get(), lines=[], by=in_aurora.manager)


def test_a_new_draft_carries_targets_and_running_views_over(in_aurora: Cast):
    apple, bund = make.security("Apple"), make.security("Bund")
    model = make.published(in_aurora.manager, {apple: "0.5", bund: "0.5"})
    publish_view(
        version=model.versions.get(), security=apple, tilt=D("0.05"), rationale="Cheap", by=in_aurora.manager
    )

    draft = new_draft(model=model, by=in_aurora.manager)

    assert {line.security: line.weight for line in draft.targets.all()} == {apple: D("0.5"), bund: D("0.5")}
    assert [view.is_published for view in draft.views.all()] == [False]
    publish(version=draft, by=in_aurora.manager)
    assert draft.views.get().is_published
    assert make.current_targets(model)[apple.pk] == D("0.55")


def test_a_model_has_one_draft_at_a_time(in_aurora: Cast):
    model = make.published(in_aurora.manager, {None: "1"})
    draft = new_draft(model=model, by=in_aurora.manager)

    with pytest.raises(DomainError, match="draft already"):
        new_draft(model=model, by=in_aurora.manager)
    discard_draft(version=ModelVersion.objects.get(pk=draft.pk), by=in_aurora.manager)
    # Whoever publishes it at the same moment reads that somebody was faster.
    with pytest.raises(DomainError, match="discarded this draft"):
        publish(version=draft, by=in_aurora.manager)
    assert new_draft(model=model, by=in_aurora.manager).number == 2


def test_a_version_of_a_later_day_waits(in_aurora: Cast):
    apple = make.security("Apple")
    model = make.published(in_aurora.manager, {None: "1"})
    draft = new_draft(model=model, by=in_aurora.manager)
    save_draft(version=draft, lines=[make.line(apple, "1")], by=in_aurora.manager)
    tomorrow = today() + datetime.timedelta(days=1)
    publish(version=draft, effective_from=tomorrow, by=in_aurora.manager)

    assert make.current_targets(model) == {CASH: D(1)}
    assert make.current_targets(model, tomorrow) == {apple.pk: D(1)}


def test_a_version_cannot_take_effect_in_the_past(in_aurora: Cast):
    model = make.published(in_aurora.manager, {None: "1"})
    draft = new_draft(model=model, by=in_aurora.manager)

    with pytest.raises(DomainError, match="today or later"):
        publish(version=draft, effective_from=today() - datetime.timedelta(days=1), by=in_aurora.manager)


def test_a_sub_model_is_looked_through_with_its_views(in_aurora: Cast):
    apple, bund, nestle = (make.security(name) for name in ("Apple", "Bund", "Nestlé"))
    equities = make.published(in_aurora.manager, {apple: "0.5", nestle: "0.5"}, "EQ")
    publish_view(
        version=equities.versions.get(),
        security=apple,
        tilt=D("0.1"),
        rationale="Cheap",
        by=in_aurora.manager,
    )
    balanced = make.published(in_aurora.manager, {equities: "0.5", bund: "0.5"}, "MIX")

    assert make.current_targets(balanced) == {apple.pk: D("0.30"), nestle.pk: D("0.20"), bund.pk: D("0.5")}


def test_a_model_that_contains_itself_or_an_unpublished_model_is_refused(in_aurora: Cast):
    first = make.published(in_aurora.manager, {None: "1"}, "A")
    second = make.published(in_aurora.manager, {first: "1"}, "B")
    unpublished = make.model(in_aurora.manager, "C")
    draft = new_draft(model=first, by=in_aurora.manager)

    save_draft(version=draft, lines=[make.line(second, "1")], by=in_aurora.manager)
    with pytest.raises(DomainError, match="contains itself"):
        publish(version=draft, by=in_aurora.manager)
    save_draft(version=draft, lines=[make.line(unpublished, "1")], by=in_aurora.manager)
    with pytest.raises(DomainError, match="no published version"):
        publish(version=draft, by=in_aurora.manager)


def test_a_sub_model_of_an_earlier_version_must_be_offered_too(in_aurora: Cast):
    agreement, by = make.uuid.uuid4(), in_aurora.manager
    sub_model = make.published(by, {None: "1"}, "SUB")
    model = make.published(by, {sub_model: "1"})
    draft = new_draft(model=model, by=by)
    save_draft(version=draft, lines=[make.line(None, "1")], by=by)
    publish(version=draft, by=by)
    # Both versions cross.
    with pytest.raises(DomainError, match="Model SUB"):
        offer_model(model=model, agreement=agreement, by=by)
    offer_model(model=sub_model, agreement=agreement, by=by)
    offer_model(model=model, agreement=agreement, by=by)


def test_a_sub_model_must_be_offered_where_the_model_is(in_aurora: Cast):
    agreement = make.uuid.uuid4()
    sub_model = make.published(in_aurora.manager, {None: "1"}, "SUB")
    model = make.published(in_aurora.manager, {None: "1"}, "TOP")
    offer_model(model=model, agreement=agreement, by=in_aurora.manager)
    draft = new_draft(model=model, by=in_aurora.manager)
    save_draft(version=draft, lines=[make.line(sub_model, "1")], by=in_aurora.manager)

    with pytest.raises(DomainError, match="not offered everywhere"):
        publish(version=draft, by=in_aurora.manager)
    offer_model(model=sub_model, agreement=agreement, by=in_aurora.manager)
    publish(version=draft, by=in_aurora.manager)


def test_a_view_without_room_is_refused_and_says_why(in_aurora: Cast):
    apple, bund = make.security("Apple"), make.security("Bund")
    model = make.model(in_aurora.manager)
    draft = model.versions.get()
    lines = [make.line(apple, "0.5"), make.line(bund, "0.5", is_locked=True)]
    save_draft(version=draft, lines=lines, by=in_aurora.manager)
    publish(version=draft, by=in_aurora.manager)

    with pytest.raises(DomainError, match="no room"):
        publish_view(version=draft, security=apple, tilt=D("0.05"), rationale="Cheap", by=in_aurora.manager)
    with pytest.raises(DomainError, match="locked"):
        publish_view(version=draft, security=bund, tilt=D("0.05"), rationale="Safe", by=in_aurora.manager)
    assert not draft.views.exists()


def test_a_received_model_cannot_be_changed_or_passed_on(in_meadow: Cast):
    model = make.received({None: "1"})

    with pytest.raises(DomainError, match="partner"):
        new_draft(model=model, by=in_meadow.manager)
    with pytest.raises(DomainError, match="partner"):
        offer_model(model=model, agreement=make.uuid.uuid4(), by=in_meadow.manager)
    assert offer_model(model=model, by=in_meadow.manager).agreement is None
