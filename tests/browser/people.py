"""People at their browsers: one context each, signed in, watched for whatever goes wrong on a page."""

import http.client
import urllib.parse
from dataclasses import dataclass, field

from django.test import Client
from django_tenants.utils import tenant_context
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response

from accounts.models import User
from federation.models import Institution
from tests import factories

_BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
_CSRF = "browserjourneybrowserjourneybrow"


@dataclass
class Answer:
    """What the server said."""

    status: int
    text: str


@dataclass
class Person:
    """Somebody of an institution with a page of their own."""

    institution: Institution
    user: User
    port: int
    page: Page
    problems: list[str] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"{self.institution.schema_name}.localhost"

    def url(self, path: str) -> str:
        return f"http://{self.host}:{self.port}{path}"

    def go(self, path: str) -> Page:
        """Open a page."""
        self.page.goto(self.url(path))
        return self.page

    def another_page(self) -> Page:
        """Return a second page of the same browser, watched too."""
        page = self.page.context.new_page()
        self.watch(page)
        return page

    def watch(self, page: Page) -> None:
        """Note errors of scripts, failed requests and failed answers of a page."""

        def on_console(message: ConsoleMessage) -> None:
            if message.type == "error":
                self.problems.append(f"{page.url}: console: {message.text}")

        def on_failed(request: Request) -> None:
            # Leaving a page ends what it was asking for.
            if request.failure != "net::ERR_ABORTED":
                self.problems.append(f"{request.url}: {request.failure}")

        def on_response(response: Response) -> None:
            if response.status >= 400:
                self.problems.append(f"{response.url}: {response.status}")

        page.on("console", on_console)
        page.on("pageerror", lambda error: self.problems.append(f"{page.url}: script: {error}"))
        page.on("requestfailed", on_failed)
        page.on("response", on_response)

    # The same person without a browser, for what no page offers.

    def get(self, path: str) -> Answer:
        """Ask the server for a path."""
        return self._ask("GET", path)

    def post(self, path: str, **data: object) -> Answer:
        """Send a form to a path."""
        return self._ask("POST", path, urllib.parse.urlencode(data))

    def _ask(self, method: str, path: str, body: str | None = None) -> Answer:
        cookies = {each["name"]: each["value"] for each in self.page.context.cookies(self.url("/"))}
        cookies["csrftoken"] = _CSRF
        server = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        server.request(
            method,
            path,
            body,
            {
                "Host": f"{self.host}:{self.port}",
                "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
                "X-CSRFToken": _CSRF,
                "Content-Type": "application/x-www-form-urlencoded",
            },
        )
        response = server.getresponse()
        answer = Answer(response.status, response.read().decode(errors="replace"))
        server.close()
        return answer


class People:
    """The casts of all institutions, each person signed in on first use."""

    def __init__(self, browser: Browser, port: int) -> None:
        self._browser, self._port = browser, port
        self._here: dict[tuple[str, str], Person] = {}

    def __call__(self, schema: str, role: str) -> Person:
        """Return the person with this name in the cast of an institution."""
        if (schema, role) not in self._here:
            self._here[schema, role] = self.arrive(schema, role)
        return self._here[schema, role]

    def arrive(self, schema: str, role: str, *, signed_in: bool = True, **options: object) -> Person:
        """Return a person in a new browser context."""
        institution = Institution.objects.get(schema_name=schema)
        with tenant_context(institution):
            user = getattr(factories.cast(), role)
        context = self._browser.new_context(viewport={"width": 1440, "height": 900}, **options)
        context.set_default_timeout(20_000)
        if signed_in:
            _sign_in(context, institution, user)
        person = Person(institution, user, self._port, context.new_page())
        person.watch(person.page)
        return person

    def adopt(self, role: str, person: Person) -> None:
        """Remember somebody who signed in by the form."""
        self._here[person.institution.schema_name, role] = person

    def leave(self) -> None:
        """Let everybody look at an empty page."""
        for person in self._here.values():
            if person.page.url != "about:blank":
                person.page.goto("about:blank")

    def problems(self) -> list[str]:
        """Return, and forget, what went wrong on anybody's page."""
        found = [problem for person in self._here.values() for problem in person.problems]
        for person in self._here.values():
            person.problems.clear()
        return found


def _sign_in(context: BrowserContext, institution: Institution, user: User) -> None:
    with tenant_context(institution):
        client = Client()
        client.force_login(user, backend=_BACKEND)
    cookie = client.cookies["sessionid"].value
    context.add_cookies(
        [
            {
                "name": "sessionid",
                "value": cookie,
                "domain": f"{institution.schema_name}.localhost",
                "path": "/",
            }
        ]
    )
