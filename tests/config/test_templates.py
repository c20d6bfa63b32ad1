"""What all templates have to keep to."""

import re
from pathlib import Path

from django.conf import settings

_FORM = re.compile(r"<form\b.*?</form>", re.DOTALL)
_BUTTON = re.compile(r'<button[^>]*type="submit"')
_TYPED = re.compile(r'<input(?![^>]*type="(?:hidden|checkbox|radio)")|include "components/fields')


def test_enter_in_a_field_presses_no_button_that_stands_before_it() -> None:
    # Browsers press the first button of the form: a reason to reject would affirm.
    found = []
    for path in Path(settings.BASE_DIR, "templates").rglob("*.html"):
        for form in _FORM.findall(path.read_text()):
            buttons = [each.start() for each in _BUTTON.finditer(form)]
            typed = _TYPED.search(form)
            if len(buttons) > 1 and typed and buttons[0] < typed.start():
                found.append(path.name)
    assert found == []
