"""Words for what the calculations of this app leave as codes."""

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts import formatting
from federation.disclosure import Disclosure, Until

UNTIL: dict[Until, str | Promise] = {
    Until.OPEN: _("Goes on"),
    Until.NEW_VERSION: _("A new version came into force"),
    Until.SUSPENDED: _("Suspended: nothing new crosses"),
    Until.MANDATE_LEFT: _("The mandate was rejected or withdrawn"),
    Until.AGREEMENT_ENDED: _("The agreement ended"),
}


def interruption_words(disclosure: Disclosure) -> list[str]:
    """Return for each interruption that nothing new crossed, from when until when."""
    words = []
    for since, until in disclosure.interruptions:
        said = (
            gettext("nothing new %(since)s – %(until)s") if until else gettext("nothing new since %(since)s")
        )
        words.append(said % {"since": formatting.moment(since), "until": formatting.moment(until)})
    return words


def kept_words(disclosure: Disclosure) -> str:
    """Return until when the partner keeps what was disclosed, or when it was erased; "" where it kept nothing of it."""
    kept = disclosure.kept
    if disclosure.erased_at is not None:
        return gettext("erased there on %(day)s") % {"day": formatting.day(disclosure.erased_at)}
    if kept is None:
        return ""
    if kept.until is None:
        said = gettext("kept there while on hold")
    elif kept.is_held:
        said = gettext("kept there until %(day)s, on hold")
    else:
        said = gettext("kept there until %(day)s")
    words = said % {"day": formatting.day(kept.until)}
    if kept.shared == disclosure.shared:
        return words
    return gettext("%(kept)s, as far as it was shared to the end") % {"kept": words}
