"""What Django's templates show of a form's widgets, in Python: a list of choices takes them several templates each."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.forms.renderers import TemplatesSetting

from accounts.formatting import escaped, shown

_FOLDER = "django/forms/widgets/"
_INPUTS = (
    "checkbox", "color", "date", "datetime", "email", "file", "hidden", "input", "number", "password", "search", "tel",
    "text", "time", "url",
)  # fmt: skip

Widget = Mapping[str, Any]


def _attributes(widget: Widget) -> str:
    parts = []
    for name, value in widget["attrs"].items():
        if value is True:
            parts.append(f" {escaped(name)}")
        elif value is not False:
            parts.append(f' {escaped(name)}="{escaped(value)}"')
    return "".join(parts)


def _input(widget: Widget) -> str:
    value = widget["value"]
    given = "" if value is None else f' value="{escaped(value)}"'
    return (
        f'<input type="{shown(widget["type"])}" name="{shown(widget["name"])}"{given}{_attributes(widget)}>\n'
    )


def _labelled_input(widget: Widget) -> str:
    if not widget["wrap_label"]:
        return _input(widget)
    id_ = widget["attrs"].get("id")
    named = f' for="{shown(id_)}"' if id_ else ""
    return f"<label{named}>{_input(widget)} {shown(widget['label'])}</label>\n"


def _option(widget: Widget) -> str:
    return (
        f'<option value="{escaped(widget["value"])}"{_attributes(widget)}>{shown(widget["label"])}</option>\n'
    )


def _choices(widget: Widget) -> Iterator[str]:
    for group, options, _index in widget["optgroups"]:
        if group:
            yield f'\n  <optgroup label="{shown(group)}">'
        for option in options:
            yield f"\n  {_option(option)}"
        if group:
            yield "\n  </optgroup>"


def _select(widget: Widget) -> str:
    choices = "".join(_choices(widget))
    return f'<select name="{shown(widget["name"])}"{_attributes(widget)}>{choices}\n</select>\n'


def _textarea(widget: Widget) -> str:
    value = shown(widget["value"]) if widget["value"] else ""
    return f'<textarea name="{shown(widget["name"])}"{_attributes(widget)}>\n{value}</textarea>\n'


_WRITTEN: dict[str, Callable[[Widget], str]] = {
    **{f"{_FOLDER}{name}.html": _input for name in _INPUTS},
    f"{_FOLDER}checkbox_option.html": _labelled_input,
    f"{_FOLDER}radio_option.html": _labelled_input,
    f"{_FOLDER}select.html": _select,
    f"{_FOLDER}select_option.html": _option,
    f"{_FOLDER}textarea.html": _textarea,
}


class Renderer(TemplatesSetting):
    """Write the plain widgets here, and have templates show all others."""

    def render(self, template_name: str, context: dict[str, Any], request: Any = None) -> str:
        write = _WRITTEN.get(template_name)
        if write is None:
            return super().render(template_name, context, request)
        return write(context["widget"]).strip()
