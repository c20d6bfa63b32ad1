"""What must hold while faults go on, not only at the end: P3 for whoever only advises, P5 for all."""

import re
import uuid
from typing import Any

import redis
from django.db import connection
from psycopg import sql

from federation.mirror.overlap import ANSWERS
from federation.models import Agreement, Function
from federation.scope import KINDS
from tests.browser.traces import redis_contents
from tests.chaos.advice import MARK
from tests.federation.mirror.searching import held_in
from tests.platforms import Platform

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHARED = [kind for kind in KINDS if kind.function is not None]
_OF_CLIENTS = [kind for kind in _SHARED if kind.function != Function.MODELS]

# Who sees which row, and what it says.
Row = tuple[str, str, uuid.UUID, str]


class Promises:
    """Looks before and after each change of an agreement, and now and then."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        # In the order in which they were found, each once.
        self.broken: dict[str, None] = {}
        # Agreement that is suspended → what its parties could see of each other then.
        self._seen: dict[uuid.UUID, set[Row]] = {}

    # P5

    def check(self, agreement: Agreement) -> None:
        """Note what has become visible since the agreement was suspended; before it is changed again."""
        if (before := self._seen.pop(agreement.pk, None)) is not None:
            self._note(f"P5 {agreement.name} is suspended", _visible(agreement) - before)

    def changed(self, agreement: Agreement) -> None:
        """Look at what is there after an agreement has been suspended or ended."""
        if not _is_alone(agreement):
            # What is visible may be so under another agreement of the two.
            return
        if agreement.state == Agreement.State.TERMINATED:
            left = {row for row in _visible(agreement) if row[1] not in ANSWERS}
            self._note(f"P5 {agreement.name} has ended", left)
        elif agreement.suspended_at is not None:
            self._seen[agreement.pk] = _visible(agreement)

    def check_all(self) -> None:
        for agreement in Agreement.objects.filter(pk__in=list(self._seen)):
            self.check(agreement)

    # P3

    def look_at_advice(self) -> None:
        """Note what stands of a follower's clients in Redis, or as received rows at whoever advises it."""
        for agreement in _advice():
            rows = _received(agreement.channel, agreement.manager, [kind.label for kind in KINDS])
            self._note(f"P3 {agreement.name}", rows)
        try:
            text = "\n".join(redis_contents(self.platform.redis.url))
        except redis.RedisError:
            return
        self._search(text, "Redis")

    def search_for_clients(self) -> None:
        """Look for a follower's clients in all that the adviser's schema, Redis and the processes' logs hold."""
        self.look_at_advice()
        agreements = list(_advice())
        for advisor in {agreement.manager.schema_name for agreement in agreements}:
            ours = [each.pk for each in agreements if each.manager.schema_name == advisor]
            self._search(held_in(str(advisor), ours), f"the schema of {advisor}")
        for log in self.platform.folder.glob("*.log"):
            # The server's own log quotes what it refuses to whoever wrote it.
            if log.stem != "postgres":
                self._search(log.read_text(errors="replace"), log.name)

    def _search(self, text: str, where: str) -> None:
        keys = {str(key) for agreement in _advice() for key in _own_keys(agreement.channel)}
        found = [MARK] if MARK in text else []
        found += sorted(set(_ID.findall(text)) & keys)
        self.broken |= dict.fromkeys(f"P3 {each!r} stands in {where}" for each in found[:5])

    def _note(self, what: str, rows: set[Row]) -> None:
        some = sorted(rows)[:5]
        self.broken |= dict.fromkeys(f"{what}: {kind} {key} at {schema}" for schema, kind, key, _ in some)


def _advice() -> Any:
    return Agreement.objects.filter(preset="advice").select_related("manager", "channel")


def _is_alone(agreement: Agreement) -> bool:
    parties = agreement.manager_id, agreement.channel_id
    others = Agreement.objects.filter(manager__in=parties, channel__in=parties).exclude(pk=agreement.pk)
    return not others.exclude(state=Agreement.State.TERMINATED).exists()


def _visible(agreement: Agreement) -> set[Row]:
    labels = [kind.label for kind in _SHARED]
    manager, channel = agreement.manager, agreement.channel
    return _received(manager, channel, labels) | _received(channel, manager, labels)


def _received(owner: Any, receiver: Any, labels: list[str]) -> set[Row]:
    query = sql.SQL(" UNION ALL ").join(
        sql.SQL("SELECT {}, {}, id, md5(t::text) FROM {} t WHERE origin = {} AND retired_at IS NULL").format(
            sql.Literal(receiver.schema_name),
            sql.Literal(kind.label),
            sql.Identifier(receiver.schema_name, kind.table),
            sql.Literal(owner.pk),
        )
        for kind in KINDS
        if kind.label in labels
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        return set(cursor.fetchall())


def _own_keys(institution: Any) -> set[uuid.UUID]:
    query = sql.SQL(" UNION ALL ").join(
        sql.SQL("SELECT id FROM {} WHERE origin IS NULL").format(
            sql.Identifier(institution.schema_name, kind.table)
        )
        for kind in _OF_CLIENTS
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        return {key for (key,) in cursor.fetchall()}
