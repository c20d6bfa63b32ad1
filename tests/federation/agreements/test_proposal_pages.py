"""Pages of an agreement that has not come into force: what they offer works for both parties."""

import re

from django.db import transaction

from federation.agreements import proposals
from federation.models import Agreement
from tests.federation.agreements import make
from tests.federation.agreements.browsing import people, url


def _buttons(page: str) -> set[tuple[str, str]]:
    """Return the links and forms within the main part of a page, with their method."""
    main = page.partition("<main")[2]
    links = {("get", path) for path in re.findall(r'<a [^>]*href="(/agreements/[^"?#]+)', main)}
    return links | {("post", path) for path in re.findall(r'(?:form[^>]* action|formaction)="([^"]+)"', main)}


def test_every_button_of_both_parties_works_while_nothing_is_agreed(aurora, harbour, browse):
    states = {
        "draft": lambda: make.draft(aurora, harbour),
        "proposed": lambda: make.proposed(aurora, harbour),
        "declined": lambda: _dropped(proposals.decline, aurora, harbour, harbour, reason="No."),
        "withdrawn": lambda: _dropped(proposals.withdraw, aurora, harbour, aurora),
    }
    for state, start in states.items():
        agreement = Agreement.objects.get(pk=start().agreement_id)
        assert agreement.state == state
        for party in (aurora, harbour):
            client = browse(party, people(party).administrator)
            answer = client.get(url("agreement_detail", agreement.pk))
            if state == "draft" and party == harbour:
                assert answer.status_code == 404
                continue
            for method, path in sorted(_buttons(answer.content.decode())):
                with transaction.atomic():
                    followed = getattr(client, method)(path, follow=True)
                    assert followed.status_code == 200, (state, str(party), path)
                    assert b"alert-danger" not in followed.content, (state, str(party), path)
                    transaction.set_rollback(True)
        if state in {"declined", "withdrawn"}:
            for party in (aurora, harbour):
                client = browse(party, people(party).administrator)
                client.post(url("revise", agreement.pk))
                for step in ("work", "sharing", "offers", "preview", "propose"):
                    assert client.get(url("draft_step", agreement.pk, step)).status_code == 200, step
                assert client.get(url("draft_step", agreement.pk, "partner")).status_code == 404
                gone = client.post(url("draft_discard", agreement.pk))
                assert gone.url == url("agreement_detail", agreement.pk)


def _dropped(service, manager, channel, by, **kwargs):
    version = make.proposed(manager, channel)
    make.act(service, version, by, **kwargs)
    return version
