"""Changes to models, offers, who follows them, and what was adopted."""

from models_portfolio.services.adoptions import accept, decide_view, decline
from models_portfolio.services.following import assign_model, change_model, refresh_drift
from models_portfolio.services.offers import offer_model, set_offer_open
from models_portfolio.services.versions import (
    TargetLine,
    create_model,
    discard_draft,
    edit_model,
    new_draft,
    prepare_draft,
    publish,
    save_draft,
)
from models_portfolio.services.views import end_view, planned_view, publish_view

__all__ = [
    "TargetLine",
    "accept",
    "assign_model",
    "change_model",
    "create_model",
    "decide_view",
    "decline",
    "discard_draft",
    "edit_model",
    "end_view",
    "new_draft",
    "offer_model",
    "planned_view",
    "prepare_draft",
    "publish",
    "publish_view",
    "refresh_drift",
    "save_draft",
    "set_offer_open",
]
