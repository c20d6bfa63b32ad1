"""Who reads a partner's record is written down: once a day for each, by its page and by the API."""

from collections.abc import Callable

from django.db import connection
from django.db.models import Model
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from accounts.models import AuditEntry
from federation.models import Institution
from tests.factories import Cast
from tests.portfolios.make import as_mirror
from tests.test_every_url_denies import _records

Browse = Callable[..., Browser]
KINDS = ("client", "mandate", "instruction", "portfolio", "transaction", "order", "report")


def readings() -> list[tuple[str, str]]:
    """Return who has read which record, as often as it was written down."""
    rows = AuditEntry.objects.filter(action="read").values_list("actor_name", "record_id")
    return sorted((name, str(key)) for name, key in rows)


def test_who_reads_a_partners_record_is_written_down_once_a_day(
    in_aurora: Cast, aurora: Institution, harbour: Institution, browse: Browse
) -> None:
    records: dict[str, Model] = {kind: each for kind, each in _records(in_aurora).items() if kind in KINDS}
    pages = [f"/{kind}s/{each.pk}/" for kind, each in records.items()]
    pages += [f"/portfolios/{records['portfolio'].pk}/{tab}/" for tab in ("holdings", "transactions")]
    addresses = [f"/api/v1/{kind}s/{each.pk}/" for kind, each in records.items()]
    lists = [f"/api/v1/{kind}s/" for kind in KINDS]
    reader, program = browse(aurora, in_aurora.compliance), browse(aurora, in_aurora.operations)

    def read(by: Browser, paths: list[str]) -> None:
        for path in paths:
            assert by.get(path).status_code == 200, path

    read(reader, [*pages, *addresses, *lists])
    read(program, ["/clients/?_export=csv"])
    assert readings() == [], "they are the institution's own"
    assert not AuditEntry.objects.filter(action__in=["exported", "read.by_list"]).exists()

    with as_mirror():
        for each in records.values():
            type(each)._default_manager.filter(pk=each.pk).update(origin=harbour.pk)
    read(program, ["/clients/", "/mandates/", "/instructions/", "/book/", "/orders/", "/reports/"])
    assert readings() == [], "nothing is asked for a list"
    assert not AuditEntry.objects.filter(action__in=["exported", "read.by_list"]).exists(), (
        "and it is no export"
    )

    # A program could read everything by lists.
    for _again in range(2):
        for each in lists:
            with CaptureQueriesContext(connection) as captured:
                read(program, [each])
            assert sum("accounts_auditentry" in query["sql"] for query in captured) == 1
    by_list = AuditEntry.objects.filter(action="read.by_list").values_list("actor_name", "kind", "data")
    listed = {(name, kind, data["origin"]) for name, kind, data in by_list}
    kinds = {each._meta.label_lower for each in records.values()}
    assert listed == {(in_aurora.operations.full_name, kind, str(harbour.pk)) for kind in kinds}
    assert len(by_list) == len(KINDS)
    read(program, ["/clients/?_export=csv", "/orders/?_export=xlsx"])
    exported = AuditEntry.objects.filter(action="exported").order_by("at")
    assert [(each.kind, each.data) for each in exported] == [
        (kind, {"count": 1, "origins": [str(harbour.pk)]}) for kind in ("clients.client", "trading.order")
    ]

    # Parts of pages that ask again show as much as the pages.
    parts = {"mandate": "?seen=x", "instruction": "?seen=x", "order": "?part=live"}
    read(reader, [f"/{kind}s/{records[kind].pk}/{asked}" for kind, asked in parts.items()])
    name = in_aurora.compliance.full_name
    assert readings() == sorted((name, str(records[kind].pk)) for kind in parts)
    AuditEntry.objects.filter(action="read").delete()

    with CaptureQueriesContext(connection) as captured:
        read(reader, pages[:1])
    assert sum("accounts_auditentry" in each["sql"] for each in captured) == 1
    for _again in range(2):
        read(reader, pages)
        read(program, addresses)

    keys = [str(each.pk) for each in records.values()]
    people = (in_aurora.compliance.full_name, in_aurora.operations.full_name)
    assert readings() == sorted((name, key) for name in people for key in keys)
    entry = AuditEntry.objects.filter(action="read", kind="reporting.report")[0]
    assert entry.data == {"origin": str(harbour.pk)}, "no name, no number"

    read(
        program,
        [f"/portfolios/{records['portfolio'].pk}/holdings/?_export={each}" for each in ("csv", "xlsx")],
    )
    taken = exported.filter(kind="portfolios.portfolio").values_list("data", flat=True)
    assert list(taken) == [{"count": 1, "origins": [str(harbour.pk)]}] * 2


def test_the_audit_trail_tells_readings_from_what_was_done(
    in_aurora: Cast, aurora: Institution, harbour: Institution, browse: Browse
) -> None:
    report = _records(in_aurora)["report"]
    with as_mirror():
        type(report)._default_manager.filter(pk=report.pk).update(origin=harbour.pk)
    reader = browse(aurora, in_aurora.compliance)
    assert reader.get(f"/reports/{report.pk}/").status_code == 200

    assert reader.get("/reports/?_export=csv").status_code == 200
    assert reader.get("/api/v1/reports/").status_code == 200
    shown = reader.get("/audit/", {"what": "read"})
    assert shown.context["table"].paginator.count == 3
    assert "read by list" in shown.content.decode()
    assert "count: 1, origins: Harbour" in shown.content.decode()
    assert "origin: Harbour" in shown.content.decode()
    lines = reader.get("/audit/", {"what": "read", "_export": "csv"}).content.decode("utf-8-sig").splitlines()
    assert len(lines) == 4
    assert str(report.pk) in "".join(lines)
    done = reader.get("/audit/", {"what": "done"}).context["table"]
    others = AuditEntry.objects.exclude(action__in=["read", "read.by_list", "exported"])
    assert done.paginator.count == others.count() > 0
