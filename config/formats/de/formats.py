"""How German pages write a day and a time, where Django's own way is another."""

DATE_FORMAT = "j. M Y"
DATETIME_FORMAT = "j. M Y, H:i"
