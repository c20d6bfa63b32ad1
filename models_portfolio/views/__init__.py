"""Pages of models, drafts, views, offers and received models."""
