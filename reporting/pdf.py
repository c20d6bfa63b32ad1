"""Set a document as PDF."""

import json
from collections.abc import Mapping
from typing import Any

import typst
from django.conf import settings

TEMPLATE = settings.BASE_DIR / "templates" / "reports" / "statement.typ"


def set_pdf(document: Mapping[str, Any]) -> bytes:
    """Return a document as PDF; raises typst.TypstError where the template cannot be set."""
    return bytes(typst.compile(TEMPLATE, sys_inputs={"data": json.dumps(document)}))
