"""Every division of work: what is derived from it, and what the mirror makes of it on real schemas."""

import itertools
from typing import Any

import pytest
from django.db import connection, models
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from federation import scope
from federation.mirror import control
from federation.models import Agreement, AgreementVersion, Function, Institution, ParkedRow, Side, Stream
from federation.scope import KINDS, Flow
from tests import factories
from tests.federation.divisions import SENSIBLE, Division
from tests.federation.mirror.everything import everything
from tests.federation.mirror.world import World

ALL = [
    dict(zip(map(str, Function), sides, strict=True))
    for sides in itertools.product(("manager", "channel"), repeat=6)
]
WITHHOLDABLE = [
    entry for kind in KINDS for entry in (kind.label, *(f"{kind.label}.{f}" for f in kind.shared_fields))
]
# Reference data is added as the receiver's own.
FOLLOWING = {kind.label for kind in KINDS if kind.function is None}
# What has to name records that stay private stays private with them.
ALONG = {
    "trading": {"trading.Settlement", "trading.Affirmation"},
    "reporting": {"reporting.ReportRelease"},
}


def shared(version: AgreementVersion) -> dict[str, Side]:
    """Return who shares each kind; fails where both would."""
    found: dict[str, Side] = {}
    for side in Side:
        for share in scope.shares(version, side):
            if share.kind.function is not None:
                assert share.kind.label not in found
                found[share.kind.label] = side
    return found


@pytest.mark.parametrize("number", range(64))
def test_each_kind_is_shared_by_who_performs_its_function_and_nobody_else(number: int) -> None:
    version = AgreementVersion(division=ALL[number])
    assert shared(version) == {
        kind.label: Side(ALL[number][kind.function]) for kind in KINDS if kind.function is not None
    }
    for side in Side:
        for share in scope.shares(version, side):
            # With nothing private and nothing withheld, every field that may leave does.
            assert share.fields == share.kind.shared_fields


@settings(max_examples=150, deadline=None)
@given(
    division=st.sampled_from(ALL),
    private=st.sets(st.sampled_from([str(function) for function in Function])),
    withheld=st.sets(st.sampled_from(WITHHOLDABLE), max_size=8),
)
def test_whatever_is_private_or_withheld_nothing_names_what_is_not_there(
    division: dict[str, str], private: set[str], withheld: set[str]
) -> None:
    withheld = {entry for entry in withheld if scope.may_withhold(entry)}
    version = AgreementVersion(division=division, private=sorted(private), withheld=sorted(withheld))
    found = shared(version)
    for side in Side:
        for share in scope.shares(version, side):
            kind = share.kind
            assert kind.function not in private
            assert kind.label not in withheld
            assert not {f"{kind.label}.{name}" for name in share.fields} & withheld
            assert kind.function is None or division[kind.function] == side
            for name in share.fields:
                field = kind.field(name)
                if isinstance(field, models.ForeignKey) and kind.function is not None:
                    target = field.related_model._meta.label
                    assert target in found or target in FOLLOWING
            # Nothing that a receiver cannot do without is missing from a row.
            for name in set(kind.shared_fields) - set(share.fields):
                assert scope.may_withhold(f"{kind.label}.{name}")


def test_the_conditions_of_every_division_are_sound_sql(world: World) -> None:
    parties = {schema: Institution.objects.get(schema_name=schema) for schema in ("aurora", "harbour")}
    agreement = Agreement(manager=parties["aurora"], channel=parties["harbour"])
    with connection.cursor() as cursor:
        for division in ALL:
            for side in Side:
                flow = Flow.of(agreement, side, AgreementVersion(agreement=agreement, division=division))
                asked = [
                    sql.SQL("(SELECT 1 FROM {}.{} t WHERE {} LIMIT 1)").format(
                        schema, sql.Identifier(share.kind.table), condition(share.kind, "t")
                    )
                    for schema, condition in ((flow.source, flow.in_scope), (flow.target, flow.received))
                    for share in flow.shares.values()
                ]
                for start in range(0, len(asked), 12):
                    cursor.execute(sql.SQL(" UNION ALL ").join(asked[start : start + 12]))


def _rows_of_others() -> dict[tuple[str, str], int]:
    """Return how many received rows of each kind stand in each schema, where there are any."""
    found: dict[tuple[str, str], int] = {}
    with connection.cursor() as cursor:
        for schema in factories.STANDING:
            cursor.execute(
                sql.SQL(" UNION ALL ").join(
                    sql.SQL("SELECT {}, count(*) FROM {} WHERE origin IS NOT NULL").format(
                        sql.Literal(kind.label), sql.Identifier(schema, kind.table)
                    )
                    for kind in KINDS
                    if kind.label not in FOLLOWING
                )
            )
            found |= {(schema, label): count for label, count in cursor.fetchall() if count}
    return found


def _expected(each: Division) -> set[tuple[str, str]]:
    """Return where each kind has to arrive, worked out from the division without asking the scope."""
    stays = set().union(*(ALONG.get(function, set()) for function in each.private))
    other = {"manager": "harbour", "channel": "aurora"}
    return {
        (other[each.division[kind.function]], kind.label)
        for kind in KINDS
        if kind.function is not None and kind.function not in each.private and kind.label not in stays
    }


@pytest.mark.parametrize("each", SENSIBLE, ids=str)
def test_p1_p2_p4_under_every_sensible_division_each_kind_arrives_where_its_owners_partner_is(
    world: World, each: Division
) -> None:
    # A third party on each side, to which nothing of this belongs.
    world.agree("aurora", "lakeside")
    agreement = world.agree(division=each.division, private=each.private)
    everything(world, agreement)
    assert set(_rows_of_others()) == _expected(each)
    world.assert_in_step(agreement)
    assert world.orphans("aurora") == world.orphans("harbour") == []
    assert list(ParkedRow.objects.values_list("kind", "reason")) == []


def test_p4_replaying_a_divided_agreement_changes_nothing(world: World) -> None:
    agreement = world.agree(division=next(e for e in SENSIBLE if str(e) == "settlement at channel").division)
    everything(world, agreement)
    before = _contents()
    for stream in Stream.objects.filter(agreement=agreement):
        control.refill(stream)
    world.drain()
    assert _contents() == before


def _contents() -> dict[tuple[str, str], Any]:
    """Return a hash of every mirrored table with the physical place of its rows: a rewritten row moves."""
    found = {}
    with connection.cursor() as cursor:
        for schema in ("aurora", "harbour"):
            for kind in KINDS:
                cursor.execute(
                    sql.SQL(
                        "SELECT md5(string_agg(t.ctid::text || t::text, '' ORDER BY t.id)) FROM {} t"
                    ).format(sql.Identifier(schema, kind.table))
                )
                found[schema, kind.label] = cursor.fetchone()[0]
    return found
