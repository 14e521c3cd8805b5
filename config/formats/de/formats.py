"""How German pages write a day and a time, where Django's own way is another."""

DATE_FORMAT = "j. F Y"
DATETIME_FORMAT = "j. F Y, H:i"
