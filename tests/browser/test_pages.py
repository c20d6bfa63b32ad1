"""Every page that each persona comes to: without errors, accessible, and fitting its window, light and dark."""

import contextlib
import re
from collections.abc import Iterator, Sequence

import pytest
from django.template.loader import render_to_string
from django_tenants.utils import tenant_context
from playwright.sync_api import Page, ViewportSize, expect

from accounts.models import Job
from tests.browser.people import People, Person
from tests.browser.screenshots import AXE_ON_CALL, FRAME, drawn_anew, problems, violations

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

WIDE, NARROW = ViewportSize(width=1440, height=900), ViewportSize(width=390, height=844)
# An administrator's or a compliance officer's has the fewest entries.
LEAST_MENU = 5
PERSONAS = [
    ("harbour", "advisor"),
    ("aurora", "manager"),
    ("aurora", "operations"),
    ("aurora", "administrator"),
    ("aurora", "compliance"),
    ("meadow", "manager"),
]
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
# Downloads are no pages.
_NO_PAGE = re.compile(r"/pdf/|/logout/|_export|/api/")


@pytest.fixture(scope="module")
def seen() -> set[str]:
    """Return the kinds of pages that have been looked at; one client's page stands for all."""
    return set()


@pytest.mark.parametrize(("schema", "role"), PERSONAS)
def test_each_page_of_a_persona_works_for_everybody_on_every_screen(
    schema: str, role: str, people: People, seen: set[str]
) -> None:
    # Open pages ask for news every second or two.
    people.leave()
    person = people(schema, role)
    found, visited, todo = [], 0, ["/"]
    with _screen(person) as page:
        while todo:
            path = todo.pop(0)
            # A person's first page is looked at whole, whoever has seen its kind.
            thoroughly = not visited or f"checked {_kind(path)}" not in seen
            found += _looked_at(person, page, path, thoroughly=thoroughly, but=FRAME if visited else ())
            seen.add(f"checked {_kind(path)}")
            if not visited:
                todo = _links(page, "nav[aria-label='Main navigation'] a")
                menu = len(todo)
                assert menu >= LEAST_MENU
                seen |= {"/", *map(_kind, todo)}
            visited += 1
            for linked in _links(page, "main a, .page-actions a"):
                kind = _kind(linked)
                if kind not in seen:
                    seen.add(kind)
                    todo.append(linked)
    assert visited > menu
    found += people.problems()
    assert not found, "\n".join(found)


@contextlib.contextmanager
def _screen(person: Person) -> Iterator[Page]:
    """Give a person a page of the size of a desk's screen, in light."""
    page = person.another_page()
    page.add_init_script(AXE_ON_CALL)
    _turn(page, WIDE)
    yield page
    page.close()


def _turn(page: Page, size: ViewportSize) -> None:
    """Make a desk's screen in light of a page, or a phone in the dark."""
    page.set_viewport_size(size)
    page.emulate_media(color_scheme="light" if size == WIDE else "dark", reduced_motion="reduce")


def _links(page: Page, selector: str) -> list[str]:
    """Return the paths of this site that links of the page lead to."""
    paths = page.locator(selector).evaluate_all(
        "links => links.filter(a => a.host === location.host && a.pathname !== location.pathname"
        " && !a.hasAttribute('download')).map(a => a.pathname)"
    )
    return [path for path in dict.fromkeys(paths) if not _NO_PAGE.search(path)]


def _kind(path: str) -> str:
    return _ID.sub("*", path)


def _looked_at(
    person: Person, page: Page, path: str, *, thoroughly: bool, but: Sequence[str] = ()
) -> list[str]:
    """Return what is wrong with a page on each screen; of a kind that has been looked at, on the phone's alone.

    One page opens at a desk and is turned into a phone's, the next opens on the phone.
    """
    if not thoroughly:
        _turn(page, NARROW)
    response = page.goto(person.url(path))
    assert response is not None
    if response.status != 200:
        return [f"{person.host}{path}: {response.status}"]
    found = _problems(page, thoroughly=thoroughly, but=but)
    if thoroughly:
        _turn(page, NARROW if page.viewport_size == WIDE else WIDE)
        found += _problems(page, thoroughly=True, but=but)
    return [f"{person.host}{path}: {each}" for each in found]


def _problems(page: Page, *, thoroughly: bool, but: Sequence[str]) -> list[str]:
    width = page.viewport_size["width"] if page.viewport_size else 0
    return [f"{width} px: {each}" for each in problems(page, thoroughly=thoroughly, but=but)]


_ROW = "<tr><th scope='row'>P-1</th><td><span class='{}'>100.00</span></td></tr>"
_OF_ONE_SCREEN = (
    "<style>@media (prefers-color-scheme: dark) { .last { color: #333; } } @media (max-width: 500px)"
    " { .narrow { color: #777; background: #888; } .small { min-width: 0; min-height: 0; width: 9px; height: 9px; padding: 0; } }</style>"
    f"<table class='table'><tbody>{_ROW.format('other') * 11}{_ROW.format('last')}</tbody></table>"
    "<p class='narrow'>On a phone</p><div><button class='btn small' aria-label='One'></button>"
    "<button class='btn small' aria-label='Other'></button></div>"
)
# What stands in a page, and what of it is found at a desk in light and on a phone in the dark.
_PLANTED: tuple[tuple[str, Sequence[str], Sequence[str]], ...] = (
    (
        _OF_ONE_SCREEN,
        [],
        ["color-contrast", 'class="last"', 'class="narrow"', "target-size", 'aria-label="One"'],
    ),
    ("<button class='btn'><span class='d-none d-md-inline'>Go</span></button>", [], ["button-name"]),
    ("<input>", ["axe label"], ["axe label"]),
)


def test_what_is_wrong_on_one_screen_alone_is_found_there(people: People) -> None:
    person = people("aurora", "manager")
    with _screen(person) as page:
        page.goto(person.url("/profile/"))
        for html, at_a_desk, on_a_phone in _PLANTED:
            page.locator("main").evaluate("(main, html) => { main.innerHTML = html; }", html)
            for size, theme, expected in ((WIDE, "light", at_a_desk), (NARROW, "dark", on_a_phone)):
                _turn(page, size)
                expect(page.locator("html")).to_have_attribute("data-bs-theme", theme)
                drawn_anew(page)
                found = "; ".join(violations(page, but=FRAME))
                assert [each for each in expected if each not in found] == [], found
                assert bool(found) == bool(expected), found


def test_the_failures_of_a_long_job_fit_a_phone(people: People) -> None:
    person = people("aurora", "manager")
    failure = {
        "why": "There is no price on 30 September 2026",
        "remedy": "Import the price, then try again",
    }
    with tenant_context(person.institution):
        job = Job.objects.create(
            title="Statements", state="failed", total=9, done=8, created_by=person.user, failures=[failure]
        )
    with _screen(person) as page:
        assert _looked_at(person, page, f"/jobs/{job.pk}/", thoroughly=False) == []


def test_how_a_figure_is_computed_stays_in_its_tile(people: People) -> None:
    person = people("aurora", "manager")
    inputs = [("From the close of", "28 Nov 2025"), ("Net inflow in the period", "481,400.00")]
    panel = render_to_string("components/how.html", {"how": "level ÷ level − 1", "inputs": inputs})
    tiles = f'<div class="card tile"><div class="card-body">{panel}</div></div>' * 6
    with _screen(person) as page:
        page.goto(person.url("/profile/"))
        page.locator("main").evaluate(
            "(main, html) => { main.innerHTML = html; }", f'<div class="tiles">{tiles}</div>'
        )
        page.locator(".how").evaluate_all("panels => panels.forEach(panel => { panel.open = true; })")
        for size in (WIDE, NARROW):
            _turn(page, size)
            drawn_anew(page)
            wider = "panels => panels.filter(each => each.scrollWidth > each.clientWidth).length"
            assert page.locator(".how").evaluate_all(wider) == 0


def test_a_list_to_choose_from_keeps_in_sight_what_a_row_is_about(people: People) -> None:
    person = people("aurora", "manager")
    box = '<input type="checkbox" class="form-check-input">'
    head, cells = (
        f"<th>{box}</th>" + "<th>Value</th>" * 12,
        f"<td>{box}</td><td><a>P-1</a></td>" + "<td>1</td>" * 11,
    )
    table = f"<table class='table table-list'><thead><tr>{head}</tr></thead><tbody><tr>{cells}</tr></tbody></table>"
    with _screen(person) as page:
        _turn(page, NARROW)
        page.goto(person.url("/profile/"))
        page.locator("main").evaluate(
            "(main, html) => { main.innerHTML = html; }", f'<div class="table-scroll is-wide">{table}</div>'
        )
        scrolled, left = page.locator(".is-wide").evaluate(
            "box => { box.scrollLeft = box.scrollWidth; return [box.scrollLeft, box.getBoundingClientRect().left]; }"
        )
        assert scrolled > 0
        about = page.locator(".is-wide a").bounding_box()
        assert about is not None
        assert about["x"] >= left


def test_a_refused_choice_has_the_focus_where_it_was_made(people: People) -> None:
    person = people("aurora", "manager")
    with _screen(person) as page:
        page.goto(person.url("/profile/"))
        choices = "".join(f"<input type='radio' name='one' value='{each}'>" for each in "ab")
        form = f"<form><div class='field'>{choices}<div class='invalid-feedback'>No.</div></div></form>"
        page.locator("main").evaluate("(main, html) => { main.innerHTML = html; }", form)
        page.get_by_role("radio").nth(1).check()
        page.evaluate("document.activeElement.blur(); document.dispatchEvent(new Event('DOMContentLoaded'))")
        expect(page.get_by_role("radio").nth(1)).to_be_focused()
    assert people.problems() == []


def test_nothing_moves_for_whoever_wants_no_motion(people: People) -> None:
    person = people("aurora", "manager")
    with _screen(person) as page:
        page.goto(person.url("/"))
        change = "document.documentElement.dataset.bsTheme = 'dark'; document.getAnimations().length"
        assert page.evaluate(change) == 0


def test_back_to_a_form_that_was_refused_asks_for_it_anew(people: People) -> None:
    person = people("aurora", "manager")
    page = person.go("/models/new/")
    page.locator("main form button[type=submit]").click()
    expect(page.locator(".invalid-feedback").first).to_be_visible()
    person.go("/models/")
    # The browser's own page would ask whether to send the form again.
    page.go_back()
    expect(page.get_by_role("heading", name="New model")).to_be_visible()

    # Nor at the entrance, where it would send a password again.
    stranger = people.arrive("aurora", "stranger", signed_in=False)
    page = stranger.go("/accounts/login/")
    page.locator("main form button[type=submit]").first.click()
    expect(page.locator(".invalid-feedback").first).to_be_visible()
    expect(page.locator("#id_login")).to_be_focused()
    stranger.go("/accounts/password/reset/")
    page.go_back()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.context.close()


def test_what_stands_above_a_list_follows_its_filter_and_back(people: People) -> None:
    person = people("meadow", "manager")
    with _screen(person) as page:
        page.goto(person.url("/book/?period=1y"))

        def shows(count: int, query: str) -> None:
            expect(page.locator(".tile-value").first).to_have_text(str(count))
            expect(page.locator("#list-rows tbody tr")).to_have_count(count)
            expect(page.locator("#bulk")).to_have_count(count)
            expect(page).to_have_url(person.url(f"/book/?{query}"))
            # Where hiding amounts leads back to.
            expect(page.locator("input[name=next]").first).to_have_value(f"/book/?{query}")

        shows(1, "period=1y")
        words = page.get_by_label("Number, name or client")
        words.fill("nobody")
        shows(0, "q=nobody&period=1y")
        expect(words).to_be_focused()
        expect(page.locator("#announce")).to_have_text("Nothing matches")
        page.get_by_role("link", name="3M").click()
        shows(0, "q=nobody&period=3m")
        page.go_back()
        shows(0, "q=nobody&period=1y")
        page.go_back()
        shows(1, "period=1y")
        page.go_forward()
        shows(0, "q=nobody&period=1y")
        page.get_by_title("Remove this filter").click()
        shows(1, "period=1y")
        expect(page.locator("#announce")).to_have_text("1–1 of 1")
        expect(page.locator("#list")).to_be_focused()
        page.locator("[data-check-all]").check()
        expect(page.get_by_role("button", name="Propose for chosen")).to_be_enabled()
    assert people.problems() == []
