"""Take pictures of pages at several widths and in both themes, to look at them.

    python -m tests.browser.screenshots http://aurora.localhost:8000/ --as paula@aurora.example
    python -m tests.browser.screenshots URL URL … --as EMAIL --out FOLDER --widths 1440,390 --themes light,dark
    python -m tests.browser.screenshots http://localhost:8000/                # a public page, nobody signed in
    python -m tests.browser.screenshots URL --cookie SESSIONID                # a session that exists already

``--as`` signs in as a demo person by the one-click button of the sign-in page (demo mode only), or with
``--password`` by the form. Every page is also searched for errors of its scripts, failed requests and
contents wider than the window; what is found is printed. Files are named <host>-<path>-<width>-<theme>.png.
``--axe`` also checks each page against WCAG 2.2 AA with axe-core and prints what it finds.
``--click SELECTOR`` clicks before the picture is taken, ``--viewport`` pictures the window instead of the page.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.chromium import chromium

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# A page that was resized or changed its theme draws itself anew, which takes a busy machine a while.
SETTLING_ATTEMPTS, SETTLING_MS = 20, 250
_DRAWN = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
_EXTRA = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
_LOOK = Path(__file__).with_name("look.js").read_text()
# A page has a few colours, which axe-core would read anew for every element that they lie under: a fifth of its time.
_READ_COLOURS_ONCE = """(() => {
    const known = new Map(), { prototype } = axe.commons.color.Color, { parseString } = prototype;
    prototype.parseString = function (text) {
        if (known.has(text)) return Object.assign(this, known.get(text));
        const { r, g, b, alpha } = parseString.call(this, text);
        known.set(text, { r, g, b, alpha });
        return this;
    };
})();"""
_AXE = AXE_SCRIPT + _READ_COLOURS_ONCE
# For a page that is looked at again and again: sent once, and compiled once for all that it shows.
AXE_ON_CALL = f"window.loadAxe = () => {{ {_AXE} }};"
_LOADED = "'axe' in window || ('loadAxe' in window && (loadAxe(), true))"
# The same on all pages of a role but for the entry that one is at: seen once, it has been seen.
FRAME = (".sidebar-nav .nav-link:not([aria-current])", ".topbar")
# Every window would come with two pages for suggestions below its address line, each as dear as a page looked at.
# Of the features that Playwright turns off those that matter here stand too: the last list is the one that counts.
_OFF = [
    "WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup", "AimEnabled", "PreconnectToSearch",
    "OptimizationHints", "NetworkTimeServiceQuerying", "MediaRouter", "LensOverlay", "PaintHolding",
    "HttpsUpgrades", "HttpsFirstBalancedModeAutoEnable", "ThirdPartyStoragePartitioning",
    "AvoidUnnecessaryBeforeUnloadCheckSync", "AvoidCorsURLLoaderRestartOnRedirect",
    "DestroyProfileOnBrowserClose",
]  # fmt: skip
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    f"--disable-features={','.join(_OFF)}",
    # A page is soon left: to optimise its scripts takes longer than they run. And room, in MB, for what axe-core
    # makes and forgets, so that it is not looked through again and again.
    "--js-flags=--no-maglev --no-turbofan --min-semi-space-size=32 --max-semi-space-size=64",
]


def main() -> int:
    """Take the pictures that the command line asks for; 1 where a page has a problem."""
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    count = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        for theme in options.themes.split(","):
            for width in map(int, options.widths.split(",")):
                count += _pictures(browser, options, width, theme)
        browser.close()
    return 1 if count else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("urls", nargs="+")
    parser.add_argument("--as", dest="person", help="e-mail address of the person to sign in")
    parser.add_argument("--password", help="sign in by the form instead of the demo button")
    parser.add_argument("--cookie", help="value of the session cookie")
    parser.add_argument("--out", type=Path, default=Path("/tmp/screenshots"))
    parser.add_argument("--widths", default="1440,390")
    parser.add_argument("--themes", default="light,dark")
    parser.add_argument("--click", action="append", default=[])
    parser.add_argument("--viewport", action="store_true")
    parser.add_argument("--axe", action="store_true")
    return parser.parse_args()


def _pictures(browser: Browser, options: argparse.Namespace, width: int, theme: str) -> int:
    height = 900 if width > 600 else 844
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if theme == "dark" else "light"
    )
    problems = 0
    parts = urlsplit(options.urls[0])
    if options.cookie:
        context.add_cookies(
            [{"name": "sessionid", "value": options.cookie, "domain": parts.hostname, "path": "/"}]
        )
    elif options.person:
        _sign_in(context, f"{parts.scheme}://{parts.netloc}", options)
    for url in options.urls:
        problems += _picture(context, url, options, width, theme)
    context.close()
    return problems


def _sign_in(context: BrowserContext, site: str, options: argparse.Namespace) -> None:
    page = context.new_page()
    page.goto(f"{site}/accounts/login/")
    if options.password:
        page.fill("input[name=login]", options.person)
        page.fill("input[name=password]", options.password)
        page.click("form button[type=submit]:has-text('Sign in')")
    else:
        page.click(f"[data-demo-person='{options.person}']")
    page.wait_for_load_state()
    if "/accounts/login" in page.url:
        sys.exit(f"Could not sign in as {options.person}.")
    page.close()


def _picture(context: BrowserContext, url: str, options: argparse.Namespace, width: int, theme: str) -> int:
    page = context.new_page()
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(f"script: {error}"))
    page.on("console", lambda line: found.append(f"console: {line.text}") if line.type == "error" else None)
    response = page.goto(url, wait_until="networkidle")
    if response is not None and response.status >= 400:
        found.append(f"status {response.status}")
    for selector in options.click:
        page.click(selector)
    # Wait for what swaps and draws itself in.
    page.wait_for_timeout(400)
    _check_width(page, found)
    if options.axe:
        found += violations(page)
    parts = urlsplit(url)
    name = re.sub(r"[^a-z0-9]+", "-", f"{parts.hostname}{parts.path}?{parts.query}".lower()).strip("-")[:90]
    file = options.out / f"{name}-{width}-{theme}.png"
    page.screenshot(path=file, full_page=not options.viewport)
    sys.stdout.write(f"{file}\n" + "".join(f"  ! {line}\n" for line in found))
    page.close()
    return len(found)


def drawn_anew(page: Page) -> None:
    """Wait until a page that was resized or changed its theme has drawn itself."""
    page.evaluate(f"() => {_DRAWN}")


def problems(page: Page, *, thoroughly: bool = True, but: Sequence[str] = ()) -> list[str]:
    """Return what is still wrong once sizes and colours have settled; of accessibility ``but`` some selectors."""
    found: list[str] = []
    for _attempt in range(SETTLING_ATTEMPTS):
        found.clear()
        _check_width(page, found)
        if thoroughly and not found:
            found += violations(page, but=but)
        if not found:
            break
        page.wait_for_timeout(SETTLING_MS)
    return found


def violations(page: Page, *, but: Sequence[str] = ()) -> list[str]:
    """Return what axe-core finds against WCAG 2.2 AA, ``but`` in some selectors: rule, help, first elements."""
    # It stays until the page is left.
    if not page.evaluate(_LOADED):
        page.evaluate(_AXE)
    result = page.evaluate(_LOOK, [list(but), WCAG])
    return [f"axe {rule}: {says}: " + "; ".join(html[:160] for html in nodes) for rule, says, nodes in result]


def _check_width(page: Page, found: list[str]) -> None:
    """Note by how much a page, once it has drawn itself, is wider than its window."""
    extra = page.evaluate(f"() => {_DRAWN}.then(() => {_EXTRA})")
    if extra > 0:
        found.append(f"the page is {extra} px wider than the window")


if __name__ == "__main__":
    sys.exit(main())
