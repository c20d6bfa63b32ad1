"""Static files: what is vendored is what the list says, and every icon that is used is there."""

import hashlib
import re
from pathlib import Path

import pytest
from django.test import Client
from whitenoise.compress import Compressor

PROJECT = Path(__file__).resolve().parent.parent.parent
VENDOR = PROJECT / "config" / "static" / "vendor"
ROWS = re.findall(r"^\| (\S+/\S+) \|.*`([0-9a-f]{64})` \|$", (VENDOR / "README.md").read_text(), re.MULTILINE)
APPS = [
    "accounts", "clients", "config", "federation", "models_portfolio", "portfolios", "reporting", "templates",
    "trading",
]  # fmt: skip


def test_each_vendored_file_has_its_checksum():
    files = {
        str(path.relative_to(VENDOR))
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name != "README.md" and path.parent.name != "licences"
    }
    assert {name for name, _checksum in ROWS} == files


@pytest.mark.parametrize(("name", "checksum"), ROWS)
def test_a_vendored_file_is_the_one_of_the_list(name, checksum):
    assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == checksum


def _used_icons() -> dict[str, set[str]]:
    """Return the icons that templates and code name, with where."""
    patterns = [r"""{% icon ["']([a-z0-9-]+)["']""", r"""icon_name=["']([a-z0-9-]+)["']"""]
    found: dict[str, set[str]] = {}
    for app in APPS:
        for path in (PROJECT / app).rglob("*.html"):
            for pattern in patterns:
                for name in re.findall(pattern, path.read_text()):
                    found.setdefault(name, set()).add(path.name)
        for path in (PROJECT / app).rglob("*.py"):
            for name in re.findall(r"""\bicon\(["']([a-z0-9-]+)["']""", path.read_text()):
                found.setdefault(name, set()).add(path.name)
    return found


def test_each_icon_that_is_used_is_in_the_sprite():
    sprite = (VENDOR / "tabler-icons" / "sprite.svg").read_text()
    there = set(re.findall(r'<symbol id="([^"]+)"', sprite))
    missing = {name: sorted(where) for name, where in _used_icons().items() if name not in there}
    assert missing == {}


def test_nothing_is_loaded_from_another_host():
    for path in (PROJECT / "templates").rglob("*.html"):
        assert not re.search(r"""(src|href)=["']https?://""", path.read_text()), path


def test_our_scripts_and_templates_have_no_inline_handlers():
    for path in (PROJECT / "templates").rglob("*.html"):
        assert not re.search(r"""\son[a-z]+=["']|href=["']javascript:""", path.read_text()), path


def test_maps_of_sources_are_not_compressed(settings):
    compressor = Compressor(extensions=settings.WHITENOISE_SKIP_COMPRESS_EXTENSIONS, quiet=True)
    assert [name for name in ("page.js", "page.js.map", "logo.png") if compressor.should_compress(name)] == [
        "page.js"
    ]


def test_a_static_file_is_served_without_the_database(tmp_path, settings):
    (tmp_path / "page.css").write_text("main {}")
    settings.STATIC_ROOT = tmp_path
    # A test that does not ask for the database may not use it.
    answer = Client(headers={"host": "aurora.localhost"}).get("/static/page.css")
    assert answer.getvalue() == b"main {}"
    assert answer["X-Content-Type-Options"] == "nosniff"
