"""Widgets written in Python are what Django's templates write."""

from decimal import Decimal

import pytest
from django import forms
from django.forms.renderers import TemplatesSetting, get_default_renderer
from django.utils import translation
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from config.widgets import _WRITTEN, Renderer

ODD = '<a href="x">\'&amp;'
CHOICES = [
    ("", gettext_lazy("All")),
    (1, Decimal("1234.5")),
    (None, ODD),
    ("Group & Co", [(True, SafeString("<b>safe</b>")), (ODD, "b")]),
]
ATTRS = {
    "id": "x",
    "class": ODD,
    "required": True,
    "disabled": False,
    "data-n": 1000,
    "title": gettext_lazy("All"),
}
WIDGETS = {
    kind: getattr(forms, kind)()
    for kind in (
        "TextInput", "NumberInput", "EmailInput", "URLInput", "ColorInput", "SearchInput", "TelInput", "HiddenInput",
        "DateInput", "DateTimeInput", "TimeInput", "CheckboxInput", "Textarea", "FileInput",
    )
}  # fmt: skip
WIDGETS |= {"PasswordInput": forms.PasswordInput(render_value=True), "as it is": forms.widgets.Input()}
WIDGETS |= {
    kind: getattr(forms, kind)(choices=CHOICES)
    for kind in ("Select", "SelectMultiple", "RadioSelect", "CheckboxSelectMultiple")
}


@pytest.mark.parametrize("language", ["en", "en-de"])
@pytest.mark.parametrize("kind", WIDGETS)
def test_a_widget_is_what_djangos_templates_write(kind: str, language: str) -> None:
    widget, written, plain = WIDGETS[kind], Renderer(), TemplatesSetting()
    with translation.override(language):
        for value in (None, "", ODD, SafeString(ODD), 1234, Decimal("1234.5"), True, [1, ODD]):
            for attrs in (None, {}, ATTRS):
                expected = widget.render("n&", value, attrs, plain)
                assert widget.render("n&", value, attrs, written) == expected
                for part in widget.subwidgets("n&", value, attrs):
                    for wrap in (True, False):
                        context = {"widget": {**part, "wrap_label": wrap}}
                        name = part["template_name"]
                        assert written.render(name, context) == plain.render(name, context)


def test_every_written_widget_is_tried_and_used() -> None:
    assert isinstance(get_default_renderer(), Renderer)
    tried = {widget.template_name for widget in WIDGETS.values()}
    tried |= {getattr(widget, "option_template_name", "") for widget in WIDGETS.values()}
    assert _WRITTEN.keys() <= tried
