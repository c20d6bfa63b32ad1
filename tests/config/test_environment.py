"""What an operator can set is written down where README.md says that it is."""

import re

from config.embedded.paths import PROJECT


def test_the_example_names_all_that_is_read_from_the_environment() -> None:
    settings = (PROJECT / "config" / "settings.py").read_text()
    read = set(re.findall(r'\benv(?:\.\w+)?\(\s*"(\w+)"', settings))
    # For tests alone, which collect no static files.
    read.remove("STATICFILES_BACKEND")
    named = set(re.findall(r"^#(\w+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE))
    assert {"EMAIL_HOST", "SECRET_KEY"} <= read <= named
