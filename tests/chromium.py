"""The browser of the tests and of the screenshots."""

import os
import shutil

# The first of them draws no window around its pages.
_NAMES = ("chromium-headless-shell", "chromium", "google-chrome")
HINT = "needs Chromium: install Debian's package chromium-headless-shell or chromium, or set CHROMIUM to its path"


def chromium() -> str | None:
    """Return the path of the browser; None where there is none."""
    named = os.environ.get("CHROMIUM")
    return next(filter(None, map(shutil.which, [named] if named else _NAMES)), None)
