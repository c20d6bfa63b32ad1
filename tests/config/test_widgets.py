"""Widgets that are shown by Jinja2 say what Django's other templates say."""

import re
from html import unescape

import pytest
from django import forms
from django.forms.renderers import TemplatesSetting, get_default_renderer
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from config.widgets import Renderer

ODD = '<a href="x">\'&amp;'
CHOICES = [
    ("", gettext_lazy("All")),
    (1, "one"),
    (None, ODD),
    ("Group & Co", [(True, SafeString("<b>safe</b>")), (ODD, "b")]),
]
ATTRS = {"id": "x", "class": ODD, "required": True, "disabled": False, "title": gettext_lazy("All")}
KINDS = (
    "TextInput", "NumberInput", "SearchInput", "HiddenInput", "DateInput", "CheckboxInput", "Textarea", "FileInput",
)  # fmt: skip
WITH_CHOICES = ("Select", "SelectMultiple", "RadioSelect", "CheckboxSelectMultiple")


def _said(html: str) -> list[str]:
    """Return tags and texts, in whatever way quotes are escaped and lines broken."""
    parts = re.split(r"(<[^>]*>)", html)
    return [unescape(" ".join(part.split())) for part in parts if part.strip()]


@pytest.mark.parametrize("kind", [*KINDS, *WITH_CHOICES])
def test_a_widget_says_what_djangos_templates_say(kind: str) -> None:
    made = getattr(forms, kind)
    widget = made(choices=CHOICES) if kind in WITH_CHOICES else made()
    for value in (None, "", ODD, 1, True, [1, ODD]):
        shown = widget.render("n&", value, ATTRS, Renderer())
        assert _said(shown) == _said(widget.render("n&", value, ATTRS, TemplatesSetting()))
        assert '<a href="x">' not in shown


def test_forms_are_shown_by_it() -> None:
    assert isinstance(get_default_renderer(), Renderer)
