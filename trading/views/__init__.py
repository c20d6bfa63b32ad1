"""Pages of proposals, orders, settlements and the desk."""
