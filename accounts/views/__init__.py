"""Pages of the institution's people, units and credentials, and those that everybody has."""
