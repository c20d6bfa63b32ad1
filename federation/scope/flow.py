"""One direction of an agreement as SQL: which of the owner's rows the receiver may see."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count

from django_tenants.postgresql_backend.base import is_valid_schema_name
from psycopg import sql

from federation.models.agreements import Agreement, AgreementVersion, Side
from federation.models.institutions import Institution
from federation.scope.division import Share, by_label, kind_of, leads_to_root, parent_of, performer, shares
from federation.scope.kinds import Kind
from federation.scope.table import KINDS


def schema_identifier(name: str | None) -> sql.Identifier:
    """Return a validated schema name as an SQL identifier; ValueError for anything but a tenant's."""
    if not name or name == "public" or not is_valid_schema_name(name):
        raise ValueError("not the schema of an institution")
    return sql.Identifier(name)


@dataclass(frozen=True)
class Flow:
    """What ``owner`` shares with ``receiver`` under one version of an agreement."""

    agreement: Agreement
    version: AgreementVersion
    owner: Institution
    receiver: Institution

    @classmethod
    def of(cls, agreement: Agreement, side: Side, version: AgreementVersion | None = None) -> "Flow":
        """Return the flow from ``side``, under the version in force or another one."""
        version = version or agreement.version
        if version is None:
            raise ValueError("the agreement has no version in force")
        parties = {Side.MANAGER: agreement.manager, Side.CHANNEL: agreement.channel}
        other = Side.CHANNEL if side == Side.MANAGER else Side.MANAGER
        return cls(agreement, version, parties[side], parties[other])

    @cached_property
    def side(self) -> Side:
        """Return the owner's side."""
        return self.agreement.side_of(self.owner)

    @cached_property
    def shares(self) -> dict[str, Share]:
        """Return what is shared, by label, in foreign-key order."""
        return {share.kind.label: share for share in shares(self.version, self.side)}

    @cached_property
    def source(self) -> sql.Identifier:
        """Return the owner's schema."""
        return schema_identifier(self.owner.schema_name)

    @cached_property
    def target(self) -> sql.Identifier:
        """Return the receiver's schema."""
        return schema_identifier(self.receiver.schema_name)

    @cached_property
    def listens(self) -> frozenset[str]:
        """Return the labels of the kinds whose changes in the owner's schema concern this flow.

        Besides what is shared: what it hangs off, and what its conditions ask for.
        """
        found = set(self.shares)
        for share in self.shares.values():
            step: Kind | None = share.kind
            while step is not None:
                found.add(step.label)
                step = leads_to_root(step)
        found |= {kind.label for kind in KINDS if kind.wakes and _woken(kind) in found}
        return frozenset(found)

    def is_owners(self, kind: Kind) -> bool:
        """Say whether the owner performs the function that rows of this kind belong to."""
        return kind.function is None or performer(self.version, kind.function) == self.side

    def announces(self, kind: Kind) -> bool:
        """Say whether the receiver wants to hear of new rows of this kind."""
        return kind.is_announced or (
            kind.heard_by is not None and performer(self.version, kind.heard_by) not in {None, self.side}
        )

    def in_scope(self, kind: Kind, alias: str) -> sql.Composed:
        """Return the condition under which the owner's row ``alias`` of this kind is shared."""
        known = self._conditions.get((kind.label, alias))
        if known is None:
            known = self._conditions[kind.label, alias] = _Condition(self).in_scope(kind, alias)
        return known

    @cached_property
    def statements(self) -> dict[tuple[object, ...], str]:
        """Return what the mirror has composed for this flow, by kind and circumstances; it keeps it here."""
        return {}

    @cached_property
    def _conditions(self) -> dict[tuple[str, str], sql.Composed]:
        return {}

    def belongs(self, kind: Kind, alias: str) -> sql.Composed:
        """Return the condition under which a row of the receiver's own stands under this agreement.

        It is asked of what the owner's rows hang off in the receiver's schema.
        """
        return _Condition(self, at_receiver=True).belongs(kind, alias)

    def received(self, kind: Kind, alias: str, roots: Sequence[uuid.UUID] | None = None) -> sql.Composed:
        """Return the condition under which a row at the receiver is one of the owner's under this agreement.

        With ``roots``, under these of its mandates or offers alone.
        """
        return _Condition(self, at_receiver=True, roots=roots).on_path(kind, alias)

    def stands(self, kind: Kind, alias: str) -> sql.Composed:
        """Return the condition under which a row at the receiver is there under this agreement: not retired, nor its path."""
        return _Condition(self, at_receiver=True, is_alive=True).on_path(kind, alias)


def _woken(kind: Kind) -> str:
    return kind.named_by(kind.wakes)._meta.label


class _Condition:
    """Composes conditions step by step along the paths of the scope table."""

    def __init__(
        self,
        flow: Flow,
        *,
        at_receiver: bool = False,
        roots: Sequence[uuid.UUID] | None = None,
        is_alive: bool = False,
    ) -> None:
        self.flow = flow
        self.roots = roots
        self.is_alive = is_alive
        self.schema = flow.target if at_receiver else flow.source
        self.aliases: Iterator[int] = count(1)

    def in_scope(self, kind: Kind, alias: str) -> sql.Composed:
        t = sql.Identifier(alias)
        own = sql.SQL("{t}.origin IS NULL AND {t}.retired_at IS NULL").format(t=t)
        return sql.SQL(" AND ").join([own, *self._rows(kind, t), *self._path(kind, alias, self._covered)])

    def belongs(self, kind: Kind, alias: str) -> sql.Composed:
        own = sql.SQL("{t}.origin IS NULL").format(t=sql.Identifier(alias))
        return sql.SQL(" AND ").join([own, *self._path(kind, alias, self.on_path)])

    def _covered(self, kind: Kind, alias: str) -> sql.Composed:
        """A step towards the root: the owner's rows must be shared themselves, the partner's be there.

        What the partner has deleted may still stand in the owner's schema, for history or for a moment.
        """
        if self.flow.is_owners(kind):
            return self.in_scope(kind, alias)
        t, partner = sql.Identifier(alias), self.flow.receiver
        whose = sql.SQL("{t}.origin IS NULL").format(t=t)
        if not partner.is_hosted:
            whose = sql.SQL("{t}.origin = {partner}").format(t=t, partner=sql.Literal(partner.pk))
        return sql.SQL(" AND ").join([whose, *self._path(kind, alias, self._covered)])

    def on_path(self, kind: Kind, alias: str) -> sql.Composed:
        """The same at the receiver, where the owner's rows have been received."""
        t = sql.Identifier(alias)
        if self.flow.is_owners(kind):
            whose = sql.SQL("{t}.origin = {owner}").format(t=t, owner=sql.Literal(self.flow.owner.pk))
            if self.is_alive:
                whose += sql.SQL(" AND {t}.retired_at IS NULL").format(t=t)
        else:
            whose = sql.SQL("{t}.origin IS NULL").format(t=t)
        return sql.SQL(" AND ").join([whose, *self._path(kind, alias, self.on_path)])

    def _path(self, kind: Kind, alias: str, step: Callable[[Kind, str], sql.Composed]) -> list[sql.Composed]:
        t = sql.Identifier(alias)
        if kind.root:
            under = sql.SQL("{t}.{root} = {agreement}").format(
                t=t,
                root=sql.Identifier(kind.column(kind.root)),
                agreement=sql.Literal(self.flow.agreement.pk),
            )
            if self.roots is None:
                return [under]
            return [under, sql.SQL("{t}.id = ANY({roots})").format(t=t, roots=sql.Literal(list(self.roots)))]
        leads, mine, theirs = parent_of(kind), kind.via and kind.column(kind.via), "id"
        if kind.through:
            label, _, field = kind.through.rpartition(".")
            leads = by_label()[label]
            mine, theirs = "id", leads.column(field)
        if leads is None:
            return []
        next_alias = f"p{next(self.aliases)}"
        return [
            sql.SQL(
                "EXISTS (SELECT 1 FROM {schema}.{table} {p} WHERE {p}.{theirs} = {t}.{mine} AND {step})"
            ).format(
                schema=self._schema_of(leads),
                table=sql.Identifier(leads.table),
                p=sql.Identifier(next_alias),
                theirs=sql.Identifier(theirs),
                t=t,
                mine=sql.Identifier(mine),
                step=step(leads, next_alias),
            )
        ]

    def _schema_of(self, kind: Kind) -> sql.Identifier:
        """Return where a step towards the root is looked up: whoever owns it knows."""
        if self.flow.is_owners(kind) or not self.flow.receiver.is_hosted:
            return self.schema
        return self.flow.target

    def _rows(self, kind: Kind, t: sql.Identifier) -> list[sql.Composed]:
        if not kind.rows:
            return []
        named = "SELECT {column} FROM public.{table} WHERE owner_id = {owner} AND receiver_id = {receiver}"
        pair = {
            "owner": sql.Literal(self.flow.owner.pk),
            "receiver": sql.Literal(self.flow.receiver.pk),
        }
        return [
            sql.SQL(kind.rows).format(
                t=t,
                s=self.schema,
                cut=sql.SQL("{}::timestamptz").format(
                    sql.Literal(self.flow.agreement.new_mandates_suspended_at)
                ),
                named_securities=sql.SQL(named).format(
                    column=sql.Identifier("security"),
                    table=sql.Identifier("federation_sharedsecurity"),
                    **pair,
                ),
                named_currencies=sql.SQL(named).format(
                    column=sql.Identifier("currency"),
                    table=sql.Identifier("federation_sharedcurrency"),
                    **pair,
                ),
            )
        ]


def agreements_touched(kind: Kind, schema: str, keys: sql.Composable) -> sql.Composed | None:
    """Return a query for the ids of the agreements that the rows of these keys (an array) stand under; None where all may."""
    joins: list[sql.Composed] = []
    alias = "t"
    current = kind
    while not current.root:
        parent = parent_of(current)
        if parent is not None:
            mine, theirs = current.column(current.via), "id"
        elif current.through:
            label, _, field = current.through.rpartition(".")
            parent = by_label()[label]
            mine, theirs = "id", parent.column(field)
        else:
            return None
        following = f"{alias}p"
        joins.append(
            sql.SQL(" JOIN {schema}.{table} {p} ON {p}.{theirs} = {t}.{mine}").format(
                schema=schema_identifier(schema),
                table=sql.Identifier(parent.table),
                p=sql.Identifier(following),
                theirs=sql.Identifier(theirs),
                t=sql.Identifier(alias),
                mine=sql.Identifier(mine),
            )
        )
        current, alias = parent, following
    return sql.SQL(
        "SELECT DISTINCT {r}.{root} FROM {schema}.{table} t{joins} WHERE t.id = ANY({keys})"
    ).format(
        r=sql.Identifier(alias),
        root=sql.Identifier(current.column(current.root)),
        schema=schema_identifier(schema),
        table=sql.Identifier(kind.table),
        joins=sql.SQL("").join(joins),
        keys=keys,
    )


__all__ = ["Flow", "agreements_touched", "kind_of", "schema_identifier"]
