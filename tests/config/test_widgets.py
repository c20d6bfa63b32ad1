"""Widgets that are shown by Jinja2 say what Django's other templates say."""

from html.parser import HTMLParser
from typing import Any

import pytest
from django import forms
from django.forms.renderers import TemplatesSetting, get_default_renderer
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from config.widgets import Renderer

ODD = '<a href="x">\'&amp;" onfocus="y\''
CHOICES = [
    ("", gettext_lazy("All")),
    (1, "one"),
    (None, ODD),
    ("Group & Co", [(True, SafeString("<b>safe</b>")), (ODD, "b")]),
]
ATTRS = {"id": "x", "class": ODD, "required": True, "disabled": False, "title": gettext_lazy("All")}
KINDS = (
    "TextInput", "NumberInput", "SearchInput", "HiddenInput", "PasswordInput", "DateInput",
    "DateTimeInput", "TimeInput", "CheckboxInput", "Textarea", "FileInput", "ClearableFileInput",
)  # fmt: skip
WITH_CHOICES = ("Select", "SelectMultiple", "RadioSelect", "CheckboxSelectMultiple")


class _Read(HTMLParser):
    """What a browser finds in HTML: tags with their attributes, and texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[Any] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, attrs))

    def handle_endtag(self, tag: str) -> None:
        self.found.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.found.append(" ".join(data.split()))


@pytest.mark.parametrize("kind", [*KINDS, *WITH_CHOICES])
def test_a_widget_says_what_djangos_templates_say(kind: str) -> None:
    made = getattr(forms, kind)
    widget = made(choices=CHOICES) if kind in WITH_CHOICES else made()
    for value in (None, "", ODD, 1, True, [1, ODD]):
        shown = _Read(widget.render("n&", value, ATTRS, Renderer())).found
        assert shown == _Read(widget.render("n&", value, ATTRS, TemplatesSetting())).found
        assert all(name != "onfocus" for each in shown if isinstance(each, tuple) for name, _ in each[1])


def test_forms_are_shown_by_it() -> None:
    assert isinstance(get_default_renderer(), Renderer)
