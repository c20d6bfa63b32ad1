"""A security that both parties know stays as each has it; what the partner calls differently is shown, no more."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django_tenants.utils import tenant_context

from federation.agreements import life
from federation.models import Institution, SharedSecurity
from portfolios.models import Security, security_id
from portfolios.services.differences import differences_of, differing
from tests import factories
from tests.federation.agreements import make
from tests.portfolios import make as portfolios

pytestmark = pytest.mark.django_db
Browse = Callable[..., Browser]
NAMED, UNNAMED, ALIKE = "US0378331005", "US5949181045", "CH0038863350"


def know(institution: Institution, **names: str) -> None:
    with tenant_context(institution):
        for isin, name in ((NAMED, names["named"]), (UNNAMED, names["unnamed"]), (ALIKE, "Nestlé")):
            portfolios.security(isin, name, kind=names.get("kind", "share") if isin == NAMED else "share")


def found_at(institution: Institution) -> dict[str, list[tuple[str, str, str]]]:
    with tenant_context(institution):
        rows = list(Security.objects.order_by("isin"))
        found = differences_of(rows)
        assert set(found) == differing()
        isins = {row.pk: row.isin for row in rows}
        return {isins[key]: [(d.partner, d.field, d.theirs) for d in each] for key, each in found.items()}


def test_what_a_partner_calls_differently_is_shown_while_records_cross(
    aurora: Institution, harbour: Institution, meadow: Institution, browse: Browse
) -> None:
    know(aurora, named="Apple Inc. (ADR)", unnamed="MSFT", kind="fund")
    know(harbour, named="Apple", unnamed="Microsoft")
    know(meadow, named="Apfel", unnamed="Mikro")
    agreement = make.active(aurora, harbour)
    for isin in (NAMED, ALIKE):
        SharedSecurity.objects.create(owner=aurora, receiver=harbour, security=security_id(isin))

    differs = {NAMED: [("Aurora", "name", "Apple Inc. (ADR)"), ("Aurora", "kind", "Fund")]}
    assert found_at(harbour) == differs
    assert found_at(aurora) == found_at(meadow) == {}, "no row of Harbour's has named it to Aurora"

    with tenant_context(harbour):
        reader = browse(harbour, factories.cast().manager)
    page = reader.get(f"/securities/{security_id(NAMED)}/").content.decode()
    assert "Apple Inc. (ADR)" in page
    assert "Partners call it differently" in page
    assert "Partners call" not in reader.get(f"/securities/{security_id(UNNAMED)}/").content.decode()
    assert "Aurora differs" in reader.get("/securities/").content.decode()
    lines = reader.get("/securities/?differs=true&_export=csv").content.decode().splitlines()
    assert len(lines) == 2
    assert "Aurora: name Apple Inc. (ADR); Aurora: kind Fund" in lines[1]
    assert len(reader.get("/securities/?differs=false&_export=csv").content.decode().splitlines()) == 3

    make.act(life.suspend, agreement, aurora)
    assert found_at(harbour) == {}, "nothing new becomes visible"
    make.act(life.resume, agreement, aurora)
    assert found_at(harbour) == differs
    make.act(life.cut, agreement, harbour, reason="The end.")
    assert found_at(harbour) == {}


def test_they_take_the_same_queries_whoever_shares(
    aurora: Institution, borealis: Institution, harbour: Institution
) -> None:
    know(harbour, named="Apple", unnamed="Microsoft")

    def queries() -> int:
        with tenant_context(harbour), CaptureQueriesContext(connection) as captured:
            differences_of(Security.objects.all())
        return len([each for each in captured if not each["sql"].startswith("SET ")])

    nobody = queries()
    counts = set()
    for partner in (aurora, borealis):
        know(partner, named=f"Apple of {partner.short_name}", unnamed="Microsoft")
        make.active(partner, harbour)
        SharedSecurity.objects.create(owner=partner, receiver=harbour, security=security_id(NAMED))
        counts.add(queries())
    assert counts == {nobody + 1}
    assert found_at(harbour) == {
        NAMED: [("Aurora", "name", "Apple of Aurora"), ("Borealis", "name", "Apple of Borealis")]
    }
