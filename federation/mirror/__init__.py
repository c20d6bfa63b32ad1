"""The mirror: keeps the records that an agreement covers in step between two institutions."""
