"""What partners call differently: securities of one's own that a partner's shared rows name too.

A partner's row of a security with an ISIN is added where it is missing and changes nothing that is there, so the two
may differ. They are compared where the two rows stand, while an agreement lets records through, in the fields that it
shares, and only for securities that rows under it have named.
"""

import uuid
from collections.abc import Collection, Mapping

from django.db import connection
from psycopg import sql

from federation.models import Agreement, Institution
from federation.partners import current_institution
from federation.scope import Flow

_SECURITY = "portfolios.Security"
COMPARED = ("name", "currency", "kind")

# By security: each partner's short name with its values of the compared fields, one's own where it shares none.
Called = dict[uuid.UUID, list[tuple[str, Mapping[str, str]]]]


def called_differently(securities: Collection[uuid.UUID] | None = None) -> Called:
    """Return which of the current institution's securities, or of all, a partner calls differently, and what.

    Two queries, and none of partners' rows where nobody shares any.
    """
    queries = [_query(flow, securities) for flow in _inwards(current_institution()).values()]
    found: Called = {}
    if queries:
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL(" UNION ALL ").join(queries))
            for key, partner, *values in cursor.fetchall():
                found.setdefault(key, []).append((partner, dict(zip(COMPARED, values, strict=True))))
    return found


def _inwards(here: Institution) -> dict[uuid.UUID, Flow]:
    """Return a flow from each partner that shares securities now, by the partner."""
    agreements = Agreement.objects.visible_to(here).live().filter(version__isnull=False)
    flows = {}
    for agreement in agreements.select_related("manager", "channel", "version").order_by("pk"):
        partner = agreement.partner_of(here)
        flow = Flow.of(agreement, agreement.side_of(partner))
        if partner.is_hosted and _SECURITY in flow.shares:
            flows[partner.pk] = flow
    return flows


def _query(flow: Flow, securities: Collection[uuid.UUID] | None) -> sql.Composed:
    shared = flow.shares[_SECURITY].fields
    theirs = [sql.Identifier("t" if name in shared else "o", name) for name in COMPARED]
    ours = [sql.Identifier("o", name) for name in COMPARED]
    return sql.SQL(
        "SELECT o.id, {partner}, {theirs} FROM {target}.portfolios_security o"
        " JOIN {source}.portfolios_security t ON t.id = o.id"
        " WHERE o.origin IS NULL AND t.origin IS NULL AND o.isin IS NOT NULL"
        " AND ({theirs}) IS DISTINCT FROM ({ours}) AND {asked} AND EXISTS ("
        "SELECT 1 FROM public.federation_sharedsecurity s"
        " WHERE s.owner_id = {owner} AND s.receiver_id = {receiver} AND s.security = o.id)"
    ).format(
        partner=sql.Literal(flow.owner.short_name),
        theirs=sql.SQL(", ").join(theirs),
        ours=sql.SQL(", ").join(ours),
        source=flow.source,
        target=flow.target,
        asked=sql.SQL("TRUE")
        if securities is None
        else sql.SQL("o.id = ANY({})").format(sql.Literal(list(securities))),
        owner=sql.Literal(flow.owner.pk),
        receiver=sql.Literal(flow.receiver.pk),
    )
