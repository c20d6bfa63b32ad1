"""The scope table: complete, default deny, and what each division derives from it."""

import pytest
from django.apps import apps
from django.db import models

from accounts.records import Record
from federation import scope
from federation.mirror.write import blank
from federation.models import Agreement, AgreementVersion, Institution, Side

RECORDS = [model for model in apps.get_models() if issubclass(model, Record)]


def version(preset: str, **values: object) -> AgreementVersion:
    """Return an unsaved version of a preset."""
    of = scope.PRESETS[preset]
    return AgreementVersion(division=dict(of.division), private=list(of.private), **values)


def labels(of: AgreementVersion, side: Side) -> set[str]:
    return {share.kind.label for share in scope.shares(of, side)}


@pytest.mark.parametrize("model", RECORDS, ids=lambda model: model._meta.label)
def test_every_field_of_a_record_is_shared_or_kept_by_name(model: type[models.Model]) -> None:
    kind = scope.kind_of(model)
    if kind is None:
        assert model._meta.label in {private.label for private in scope.PRIVATE}
        return
    listed = [*kind.shared_fields, *kind.kept_fields, *scope.ALWAYS, *scope.MANAGED]
    assert sorted(listed) == sorted(field.name for field in model._meta.concrete_fields)
    assert set(kind.personal_fields) <= set(kind.shared_fields)


@pytest.mark.parametrize("kind", scope.KINDS, ids=lambda kind: kind.label)
def test_no_user_of_the_owner_travels(kind: scope.Kind) -> None:
    for name in kind.shared_fields:
        field = kind.field(name)
        if isinstance(field, models.ForeignKey):
            assert scope.kind_of(kind.named_by(name)) is not None


@pytest.mark.parametrize("kind", scope.KINDS, ids=lambda kind: kind.label)
def test_what_never_leaves_can_be_filled_at_the_receiver_and_what_is_personal_blanked(
    kind: scope.Kind,
) -> None:
    for name in (*kind.kept_fields, *kind.personal_fields):
        assert blank(kind.field(name)) is not None


def test_every_kind_but_reference_data_hangs_off_a_root() -> None:
    for kind in scope.KINDS:
        step: scope.Kind | None = kind
        while step is not None and not step.root:
            following = scope.leads_to_root(step)
            if following is None:
                assert step.function is None
            step = following


def test_closed_shares_by_function_in_both_directions() -> None:
    closed = version("closed")
    channel, manager = labels(closed, Side.CHANNEL), labels(closed, Side.MANAGER)
    assert {
        "clients.Client",
        "clients.Mandate",
        "clients.ClientInstruction",
        "reporting.ReportRelease",
    } <= channel
    assert {
        "clients.MandateDecision",
        "portfolios.Transaction",
        "trading.Order",
        "reporting.Report",
    } <= manager
    assert channel & manager == set()


def test_advice_shares_models_and_returns_nothing() -> None:
    advice = version("advice")
    assert labels(advice, Side.CHANNEL) == set()
    functions = {share.kind.function for share in scope.shares(advice, Side.MANAGER)}
    assert {str(function) for function in functions} == {"models", "None"}


def test_a_withheld_kind_takes_along_what_hangs_off_it() -> None:
    less = version("closed", withheld=["portfolios.Portfolio"])
    manager = labels(less, Side.MANAGER)
    assert manager & {"portfolios.Transaction", "portfolios.Holding", "reporting.Report"} == set()
    # The channel's release hangs off the report that is not there.
    assert "reporting.ReportRelease" not in labels(less, Side.CHANNEL)


def test_a_withheld_field_and_a_key_to_a_withheld_kind_are_left_out() -> None:
    less = version("closed", withheld=["clients.PayoutAccount", "clients.Client.national_id"])
    found = {share.kind.label: share for share in scope.shares(less, Side.CHANNEL)}
    assert "national_id" not in found["clients.Client"].fields
    assert "payout_account" not in found["clients.ClientInstruction"].fields


def test_only_what_a_receiver_can_do_without_may_be_withheld() -> None:
    assert scope.may_withhold("clients.Party")
    assert scope.may_withhold("clients.Client.birth_date")
    assert not scope.may_withhold("clients.Party.client")
    assert not scope.may_withhold("clients.Mandate.agreement")
    assert not scope.may_withhold("clients.Client.advisor")


def test_any_division_derives_owners_and_directions() -> None:
    # The manager trades, the channel settles and reports.
    split = version("closed")
    split.division = {**split.division, "settlement": "channel", "reporting": "channel"}
    assert "trading.Allocation" in labels(split, Side.MANAGER)
    assert {"portfolios.Transaction", "trading.Settlement", "reporting.Report"} <= labels(split, Side.CHANNEL)


@pytest.mark.parametrize("name", ["public", "a; drop schema b", "", None, "pg_catalog"])
def test_only_the_schema_of_an_institution_becomes_an_identifier(name: str | None) -> None:
    with pytest.raises(ValueError, match="schema"):
        scope.schema_identifier(name)


def test_conditions_name_every_schema_in_full() -> None:
    agreement = Agreement(
        manager=Institution(schema_name="aurora"), channel=Institution(schema_name="harbour")
    )
    for side in Side:
        flow = scope.Flow.of(agreement, side, version("closed"))
        for share in flow.shares.values():
            text = flow.in_scope(share.kind, "t").as_string(None)
            for word in text.split("FROM ")[1:]:
                assert word.split()[0].split(".")[0].strip('"') in {"aurora", "harbour", "public"}
