"""What the tests of pages share."""

import re


def text_of(response) -> str:
    """Return what a person reads on a page."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))
