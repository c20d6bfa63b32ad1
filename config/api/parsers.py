"""Read what is sent."""

import json
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import exceptions, parsers


class JsonParser(parsers.JSONParser):
    """Read JSON whose every text is one: half of a surrogate pair can be written as an escape, and nowhere kept."""

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        try:
            data = super().parse(*args, **kwargs)
            json.dumps(data, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise exceptions.ParseError(
                _("A text has half of a character: \\ud800 to \\udfff come in pairs only.")
            ) from error
        except RecursionError as error:
            raise exceptions.ParseError(_("It is nested too deeply: a few levels will do.")) from error
        return data
