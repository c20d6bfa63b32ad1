"""Create and change securities and price sources."""

from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from stdnum import isin as isin_number
from stdnum.exceptions import ValidationError as NumberError

from accounts.currencies import check_currency
from accounts.errors import DomainError, refusing
from accounts.models import User, audit
from accounts.records import new_id
from portfolios.models import PriceSource, Security, security_id

EDITABLE = (
    "name", "ticker", "kind", "asset_class", "sector", "country", "currency", "price_unit", "lot_size",
    "quantity_decimals", "coupon_rate", "maturity_date", "is_active",
)  # fmt: skip
# What a currency or unit means cannot change under entries and prices that were made with it.
_FIXED_ONCE_USED = ("currency", "price_unit")


def check_isin(text: str) -> str:
    """Return an ISIN in its normal form (ISO 6166), "" for none; raise DomainError for a wrong one."""
    if not text.strip():
        return ""
    try:
        return str(isin_number.validate(text))
    except NumberError as error:
        raise DomainError(
            "isin_wrong",
            _("%(isin)s is not an ISIN. Compare its twelve characters.") % {"isin": text.strip()},
            field="isin",
        ) from error


@transaction.atomic
def create_security(
    *, name: str, currency: str, asset_class: str, by: User | None, isin: str = "", **fields: Any
) -> Security:
    """Create a security; its id follows from its ISIN, so that institutions agree on it unasked."""
    isin = check_isin(isin)
    if isin and Security.objects.filter(isin=isin).exists():
        raise DomainError(
            "isin_taken", _("There is already a security with this ISIN. Open that one."), field="isin"
        )
    security = Security(
        id=security_id(isin) if isin else new_id(),
        isin=isin or None,
        name=name,
        currency=check_currency(currency),
        asset_class=asset_class,
        **fields,
    )
    with refusing("security_refused"):
        security.full_clean(exclude=["replaced_by"])
    security.save(force_insert=True)
    audit("security.created", security, by=by, isin=isin)
    return security


def is_used(security: Security) -> bool:
    """Say whether anything names the security, so that its ISIN and currency stand."""
    return security.transactions.exists() or security.prices.exists() or security.holdings.exists()


@transaction.atomic
def change_security(*, security: Security, by: User | None, **fields: Any) -> Security:
    """Change a security of one's own. Its ISIN stands: a correction is a new security."""
    security = Security.objects.select_for_update().get(pk=security.pk)
    if security.is_received:
        raise DomainError("received_security", _("This security is your partner's. Ask them to change it."))
    changed = {
        name: value for name, value in fields.items() if name in EDITABLE and getattr(security, name) != value
    }
    fixed = next((name for name in _FIXED_ONCE_USED if name in changed), None)
    if fixed and is_used(security):
        raise DomainError(
            "security_used",
            _("Entries or prices rest on this. Create a new security and name it as the replacement."),
            field=fixed,
        )
    if "currency" in changed:
        changed["currency"] = check_currency(changed["currency"])
    for name, value in changed.items():
        setattr(security, name, value)
    with refusing("security_refused"):
        security.full_clean(exclude=["replaced_by"])
    security.save(update_fields=list(changed) or None)
    audit("security.changed", security, by=by, fields=sorted(changed))
    return security


@transaction.atomic
def replace_security(*, security: Security, replacement: Security | None, by: User | None) -> Security:
    """Name the security that a wrong or renamed one is replaced by, and use the old one no more; None names none again."""
    if security.is_received:
        raise DomainError("received_security", _("This security is your partner's. Ask them to change it."))
    named, last = {security.pk}, replacement
    while last is not None:
        if last.pk in named:
            raise DomainError(
                "replaces_itself", _("Choose another security as the replacement."), field="replaced_by"
            )
        named.add(last.pk)
        last = last.replaced_by
    security.replaced_by = replacement
    security.is_active = security.is_active and replacement is None
    security.save(update_fields=["replaced_by", "is_active"])
    audit("security.replaced", security, by=by, replacement=str(replacement.pk) if replacement else None)
    return security


@transaction.atomic
def save_source(
    *,
    code: str,
    name: str,
    by: User | None,
    source: PriceSource | None = None,
    is_redistributable: bool = False,
    is_simulated: bool = False,
    preference: int = 100,
) -> PriceSource:
    """Create or change a source of one's own; which prices count changes with its preference."""
    if source is not None and source.is_received:
        raise DomainError("received_source", _("This source is your partner's. It comes after your own."))
    source = source or PriceSource()
    source.code, source.name = code.strip().upper(), name.strip()
    source.is_redistributable, source.is_simulated, source.preference = (
        is_redistributable,
        is_simulated,
        preference,
    )
    with refusing("source_refused"):
        source.full_clean()
    source.save()
    audit("source.saved", source, by=by, code=source.code)
    return source


def ecb_source() -> PriceSource:
    """Return the own source of the ECB's reference rates, created when first needed."""
    source, _created = PriceSource.objects.get_or_create(
        code="ECB",
        origin=None,
        defaults={"name": "European Central Bank", "is_redistributable": True, "preference": 10},
    )
    return source
