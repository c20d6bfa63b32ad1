"""The monitor: what both parties see of a mirror, prove, repair and are told of."""
