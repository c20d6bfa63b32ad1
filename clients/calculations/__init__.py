"""Pure calculations on clients: values in, frozen dataclasses out."""
