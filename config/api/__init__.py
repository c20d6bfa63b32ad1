"""The REST API of one institution: what its pages show and do, for other systems, with the same rights."""
