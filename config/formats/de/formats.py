"""How German pages write days (DIN 5008)."""

DATE_FORMAT = "d.m.Y"
SHORT_DATE_FORMAT = "d.m.Y"
MONTH_DAY_FORMAT = "d.m."
