"""Where Django's admin is: on each institution's domain, behind its own sign-in, for those with a share in it."""

from functools import update_wrapper
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _


class Site(AdminSite):
    """The admin of one institution; for people without a share in it there is none."""

    site_header = site_title = _("Roboblock admin")
    index_title = _("Records")

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Name the institution whose records these are."""
        name = getattr(getattr(request, "tenant", None), "name", "")
        return {**super().each_context(request), "site_header": f"{name} · {self.site_header}"}

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Answer as pages of other institutions' records do: people without a share find nothing here."""
        shown = super().admin_view(view, cacheable)

        def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            return shown(request, *args, **kwargs) if self.has_permission(request) else self.login(request)

        return update_wrapper(page, shown)

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Lead to the institution's sign-in, with its second factor and its pause after wrong passwords."""
        if self.has_permission(request):
            return redirect("admin:index")
        if request.user.is_authenticated:
            raise Http404
        return redirect_to_login(request.GET.get("next", "") or request.get_full_path())

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Lead to the page on which everybody changes the password."""
        return redirect("account_change_password")
