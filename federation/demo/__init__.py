"""The demonstration: five fictitious institutions, their people, clients and three years of history."""
