"""Forms: what is asked of each completion and of its prompt. A form changes by a new version; a version never does."""

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models.functions import Now


class Form(models.Model):
    """One set of questions under one name."""

    name = models.CharField(max_length=40, unique=True)
    title = models.CharField(max_length=100)
    # Offered for no new batch; those that have it keep it.
    archived = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(name__regex=r"^[a-z][a-z0-9_]*$"), name="form_name_is_a_word"),
        ]

    def __str__(self) -> str:
        return self.title


class FormVersion(models.Model):
    """What a form asked at one time; answers name the version they were given under."""

    form = models.ForeignKey(Form, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    # As `definition.read_definition` gives it.
    definition = models.JSONField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["form", "number"], name="form_version_number_once"),
            models.CheckConstraint(condition=models.Q(number__gte=1), name="form_version_number_from_1"),
        ]
        triggers = [
            pgtrigger.Protect(name="form_version_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]
