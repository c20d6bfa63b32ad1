"""Pure calculations on portfolios: values in, frozen dataclasses out."""
