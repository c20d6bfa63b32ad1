"""What all templates have to keep to."""

import re
from pathlib import Path

from django.conf import settings

_FORM = re.compile(r"<form\b.*?</form>", re.DOTALL)
_BUTTON = re.compile(r'<button[^>]*type="submit"')
_TYPED = re.compile(r'<input(?![^>]*type="(?:hidden|checkbox|radio)")|include "components/fields')

_TABLE = re.compile(r"<table[^>]*table-stack.*?</table>", re.DOTALL)
_ROW = re.compile(r"<tr\b[^>]*>(.*?)</tr>", re.DOTALL)
_CELL = re.compile(r"(?:{% (?:if|else)[^%]*%}\s*)?<td\b[^>]*>(?!</td>)")
# What a phone's screen cuts off otherwise.
_STACKED = (
    "clients/client_detail", "accounts/person_detail", "portfolios/portfolio_overview", "models_portfolio/_views",
    "models_portfolio/_weights", "models_portfolio/received_detail", "models_portfolio/draft_form",
    "federation/_preview_kind",
)  # fmt: skip


def test_rows_that_are_blocks_on_phones_name_each_of_their_values() -> None:
    folder, found, stacked = Path(settings.BASE_DIR, "templates"), [], set()
    for path in folder.rglob("*.html"):
        for table in _TABLE.findall(path.read_text()):
            stacked.add(str(path.relative_to(folder).with_suffix("")))
            cells = [cell for row in _ROW.findall(table) for cell in _CELL.findall(row)[1:]]
            # Buttons and bars need no name, nor does what stands across, begins another form of the row, or
            # may be left out.
            found += [
                (path.name, cell)
                for cell in cells
                if "data-label" not in cell and not re.search(r"text-end|d-none|colspan|%}\s*<td>", cell)
            ]
    assert found == []
    assert set(_STACKED) <= stacked


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
