"""Pure arithmetic of reports: values in, frozen dataclasses out."""
