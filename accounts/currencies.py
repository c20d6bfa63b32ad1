"""The currencies in which money is held and paid: ISO 4217, without metals, funds, accounting units and test codes."""

from decimal import ROUND_HALF_UP, Decimal

from django.utils.translation import gettext as _

from accounts.errors import DomainError

_CODES = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF
    CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL
    HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD
    MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG
    QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD
    TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""

CURRENCIES = frozenset(_CODES.split())

# By their decimals those that have not two.
_WITHOUT_CENTS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
}
_DECIMALS = {code: decimals for decimals, codes in _WITHOUT_CENTS.items() for code in codes.split()}


def minor_units(currency: str) -> int:
    """Return the decimals of a currency's amounts (ISO 4217)."""
    return _DECIMALS.get(currency, 2)


def rounded(amount: Decimal, currency: str) -> Decimal:
    """Return an amount in whole minor units of its currency."""
    return amount.quantize(Decimal(1).scaleb(-minor_units(currency)), rounding=ROUND_HALF_UP)


def check_currency(text: str, field: str = "currency") -> str:
    """Return a currency's code in capitals; raise DomainError at ``field`` where there is no such currency."""
    code = text.strip().upper()
    if code not in CURRENCIES:
        raise DomainError(
            "currency_unknown",
            _("“%(currency)s” is not a currency. Use the three letters of ISO 4217, such as USD.")
            % {"currency": text.strip()[:20]},
            field=field,
        )
    return code
