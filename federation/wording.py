"""Words for what the calculations of this app leave as codes."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from federation.disclosure import Until

UNTIL: dict[Until, str | Promise] = {
    Until.OPEN: _("Goes on"),
    Until.NEW_VERSION: _("A new version came into force"),
    Until.SUSPENDED: _("Suspended: nothing new crossed"),
    Until.MANDATE_LEFT: _("The mandate was rejected or withdrawn"),
    Until.AGREEMENT_ENDED: _("The agreement ended"),
}
