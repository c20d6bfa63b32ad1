"""Pure calculations on models: values in, frozen dataclasses out."""
