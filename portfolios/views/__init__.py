"""Pages of portfolios, securities, prices and arrived cash."""
