"""The institution's own settings: letterhead, colour, language."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from accounts.models import audit
from accounts.views_base import signed_in
from federation.forms import InstitutionForm
from federation.models import Institution
from federation.views.base import institution_of, say, user_of


@signed_in("institution.edit")
def institution(request: HttpRequest) -> HttpResponse:
    """Show and change how clients and visitors see the institution."""
    row = Institution.objects.get(pk=institution_of(request).pk)
    form = InstitutionForm(request.POST or None, instance=row)
    if request.method == "POST" and form.is_valid():
        form.save()
        audit("institution.changed", row, by=user_of(request), fields=sorted(form.changed_data))
        say(request, _("Saved. New reports carry this letterhead."))
        return redirect("federation:institution")
    return render(request, "federation/institution_form.html", {"form": form, "row": row})
