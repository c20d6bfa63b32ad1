"""Read an institution's pages, exports and API as a person would, and as somebody who probes them."""

import re
import uuid
from collections import Counter
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from django.core.cache import cache
from django.db import connection
from django.http.response import HttpResponseBase
from django.test import Client as Browser

from accounts.models import AuditEntry, User

_LINK = re.compile(r'(?:href|hx-get|src|data-url)="(/?[^"#]*)"')
# What leads on without end, or away.
_SKIPPED = re.compile(
    r"/(static|media|accounts|i18n|design|help|sealed)/|.*_export=xlsx"
    # The admin's forms for new rows, what was done there, the names of its lists, and these in another order or with
    # counts, or a part of them: they filter by what a row says of itself, which is read with all the others.
    r"|/admin/.*(/add/|/history/|/password_change/|/logout/|\?(?!p=))|/admin/(\w+/$|jsi18n/)"
    # These have no record of a kind that is ever sealed, and name none.
    r"|/admin/(accounts|federation|models_portfolio/(?!modelassignment)"
    r"|portfolios/(benchmark|exchangerate|importbatch|listing|price|security))"
    # Nor does any order of these follow such a record.
    r"|/(agreements|audit|people|prices|rates|securities|sources)/.*[?&]sort="
)
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
_FORM = re.compile(r"<form([^>]*)>(.*?)</form>", re.DOTALL)
_SEARCH_FIELD = re.compile(r'<input[^>]*type="(?:search|text)"[^>]*name="(\w+)"')
_PASSING = re.compile(
    rb'(csrfmiddlewaretoken" value|X-CSRFToken"|nonce)[=:"\s]*[\w&;:" ]+|\d+ \w+ ago|just now'
)
# Column headings are a row too.
_MORE_THAN_ONE_ROW = 3
LISTS = (
    "accounts", "affirmations", "allocations", "clients", "holdings", "instructions", "mandates", "offers", "orders",
    "portfolios", "reports", "securities", "settlements", "transactions", "valuations",
)  # fmt: skip


def read(
    person: User, schema: str, *, word: str = "", portfolios: int = 1, others_read: set[str] | None = None
) -> Iterator[tuple[str, bytes]]:
    """Follow links from the front page, one of each shape, then the lists of the API and all exports.

    With a ``word`` lists are probed too: sorted by every column, and the word typed into every search field.
    Of portfolios, which hold most, so many are looked at. Shapes that others have read are left out.
    """
    read_here: set[str] = set() if others_read is None else others_read
    left_out = frozenset(read_here)
    browser = Browser(headers={"host": f"{schema}.localhost"})
    audited = list(AuditEntry.objects.values_list("pk", flat=True))
    browser.force_login(person)
    User.objects.filter(pk=person.pk).update(last_login=None)
    _forget(audited)
    waiting = ["/admin/"] if person.is_superuser else ["/", *(f"/api/v1/{name}/" for name in LISTS)]
    if word:
        waiting.append(f"/search/?q={word}")
    seen: Counter[str] = Counter()
    while waiting:
        path = waiting.pop(0)
        shape = _shape(path)
        is_sorted = "sort=" in shape
        is_of_portfolio = shape.startswith("/portfolios/<id>/") and shape.endswith("?")
        is_known = path in seen or seen[shape] >= (portfolios if is_of_portfolio else 1)
        if is_known or (shape in left_out and path != "/") or _SKIPPED.match(path):
            continue
        # One thing asked of a list at a time.
        if "&" in shape or (is_sorted and not word):
            continue
        seen.update((path, shape))
        read_here.add(shape)
        # Of a list in another order the rows will do.
        headers = {"HX-Request": "true", "HX-Target": "list-rows"} if is_sorted else {}
        answer = _answer(browser, path, headers=headers)
        _forget(audited)
        yield path, _lasting(answer)
        if answer.status_code == 302:
            waiting.append(answer["Location"])
        elif answer["Content-Type"].startswith("text/html"):
            waiting += _onwards(path, answer.content.decode(), word)


def read_by(browser: Browser, path: str) -> bytes:
    """Read one page, export or answer as `read` does."""
    return _lasting(_answer(browser, path))


def _answer(browser: Browser, path: str, **kwargs: Any) -> HttpResponseBase:
    # Figures are kept for a while: nothing of what was read before.
    cache.clear()
    answer = browser.get(path, **kwargs)
    assert answer.status_code < 500, path
    return answer


def _lasting(answer: HttpResponseBase) -> bytes:
    """Return an answer without what differs from one to the next although it says the same."""
    return _PASSING.sub(b"", answer.getvalue())


def _forget(audited: list[uuid.UUID]) -> None:
    """Take back the traces of reading, which whoever reads later would find: all that was not audited before."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM accounts_auditentry WHERE id <> ALL(%s)", [audited])


def _shape(path: str) -> str:
    """Return what a path has in common with others like it; each column to sort by is a shape of its own."""
    parts = urlsplit(path)
    query = [f"sort={value.lstrip('-')}" if key == "sort" else key for key, value in parse_qsl(parts.query)]
    return _ID.sub("<id>", parts.path) + "?" + "&".join(sorted(query))


def _onwards(path: str, text: str, word: str) -> list[str]:
    """Return where a page leads, its export, and its search fields filled in."""
    here = path.partition("?")[0]
    links = {unescape(link) for link in _LINK.findall(text)}
    if text.count("<tr") < _MORE_THAN_ONE_ROW:
        # One row is the same in any order.
        links = {link for link in links if "sort=" not in link}
    found = sorted(link if link.startswith("/") else here + link for link in links if link[:1] in {"/", "?"})
    if "_export=csv" in text:
        found.append(f"{here}?_export=csv")
    if word and "?" not in path:
        found += [f"{here}?{name}={word}" for name in _search_fields(here, text)]
    return found


def _search_fields(here: str, text: str) -> list[str]:
    """Return the names of the fields that ask this page for something, not another one and not to change it."""
    asking = [
        inside
        for attributes, inside in _FORM.findall(text)
        if 'method="post"' not in attributes
        and ('action="/' not in attributes or f'action="{here}"' in attributes)
    ]
    return sorted({name for inside in asking for name in _SEARCH_FIELD.findall(inside)})
