from django.urls import URLPattern, URLResolver, path

from portfolios.views import book, cash, handover, imports, portfolio, securities, transactions

app_name = "portfolios"
urlpatterns: list[URLPattern | URLResolver] = [
    path("book/", book.BookView.as_view(), name="book"),
    path("book/value/", book.value_now, name="value_now"),
    path("portfolios/<uuid:pk>/", portfolio.overview, name="portfolio_detail"),
    path("portfolios/<uuid:pk>/holdings/", portfolio.holdings, name="portfolio_holdings"),
    path(
        "portfolios/<uuid:pk>/transactions/",
        portfolio.PortfolioTransactions.as_view(),
        name="portfolio_transactions",
    ),
    path("portfolios/<uuid:pk>/orders/", portfolio.PortfolioOrders.as_view(), name="portfolio_orders"),
    path("portfolios/<uuid:pk>/reports/", portfolio.reports, name="portfolio_reports"),
    path("mandates/<uuid:pk>/handover/", handover.handover, name="handover"),
    path("mandates/<uuid:pk>/handover/start/", handover.handover_start, name="handover_start"),
    path("mandates/<uuid:pk>/handover/take/", handover.handover_take, name="handover_take"),
    path("transactions/<uuid:pk>/", transactions.detail, name="transaction_detail"),
    path("transactions/<uuid:pk>/reverse/", transactions.reverse_entry, name="transaction_reverse"),
    path("securities/", securities.SecurityList.as_view(), name="security_list"),
    path("securities/new/", securities.create, name="security_create"),
    path("securities/<uuid:pk>/", securities.detail, name="security_detail"),
    path("securities/<uuid:pk>/edit/", securities.edit, name="security_edit"),
    path("prices/", securities.PriceList.as_view(), name="price_list"),
    path("rates/", securities.RateList.as_view(), name="rate_list"),
    path("sources/", securities.SourceList.as_view(), name="source_list"),
    path("sources/new/", securities.source_edit, name="source_create"),
    path("sources/<uuid:pk>/", securities.source_edit, name="source_edit"),
    path("imports/", imports.ImportList.as_view(), name="import_list"),
    path("imports/new/", imports.create, name="import_create"),
    path("imports/<uuid:pk>/", imports.detail, name="import_detail"),
    path("imports/<uuid:pk>/confirm/", imports.confirm, name="import_confirm"),
    path("imports/<uuid:pk>/undo/", imports.undo, name="import_undo"),
    path("cash/", cash.cash, name="cash"),
    path("cash/entries/", cash.EntryList.as_view(), name="bank_entry_list"),
    path("cash/new/", cash.entry_create, name="bank_entry_create"),
    path("cash/<uuid:pk>/", cash.entry_detail, name="bank_entry_detail"),
    path("cash/<uuid:pk>/match/", cash.entry_match, name="bank_entry_match"),
    path("cash/<uuid:pk>/send-back/", cash.entry_send_back, name="bank_entry_send_back"),
    path("withdrawals/<uuid:pk>/pay/", cash.withdrawal_pay, name="withdrawal_pay"),
]
