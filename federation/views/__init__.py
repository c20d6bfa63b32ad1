"""Pages of agreements, mirrors, disclosures, the institution itself and the platform's front page."""
