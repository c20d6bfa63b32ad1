"""How a form's widgets are shown: by Django's own templates for Jinja2, which take a third of the time of its others."""

from typing import Any

from django.forms.renderers import Jinja2, TemplatesSetting
from django.utils.functional import cached_property


class Renderer(TemplatesSetting):
    """Show Django's widgets by Jinja2, and forms, fields and other packages' widgets by the project's engine.

    Choices should be texts: numbers and days are not written as the reader's language does. A template of the
    project's own does not take the place of one of Django's widgets.
    """

    @cached_property
    def _widgets(self) -> Jinja2:
        return Jinja2()

    def render(self, template_name: str, context: dict[str, Any], request: Any = None) -> str:
        if template_name.startswith("django/forms/widgets/"):
            return self._widgets.render(template_name, context, request)
        return super().render(template_name, context, request)
