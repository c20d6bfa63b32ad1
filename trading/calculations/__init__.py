"""Pure calculations on trading: values in, frozen dataclasses out."""
