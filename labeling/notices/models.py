"""What admins write to one person, a group or all, and who has read it."""

import pgtrigger
from django.conf import settings
from django.contrib.postgres.functions import TransactionNow
from django.db import models

from labeling.people.models import User


class Notice(models.Model):
    """A message from the team, Markdown. Append-only, and so is whom it went to."""

    class Audience(models.TextChoices):
        PERSON = "person"
        GROUP = "group"
        ALL = "all"

    title = models.CharField(max_length=120)
    text = models.TextField()
    # It stands at the top of the page "Work" until its reader says that they have read it.
    important = models.BooleanField(default=False)
    # As it was addressed; `receipts` are the people whom that meant when it was sent.
    audience = models.CharField(max_length=6, choices=Audience)
    group = models.CharField(max_length=12, blank=True, choices=User.Group)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    # None where Kwise itself says that something wants to be looked at: to one person, an admin for the most part.
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="notices_sent", db_index=False
    )
    # The form or program that sends twice under one key sends once.
    key = models.CharField(max_length=100)
    # When the transaction began, which lets the database tell that a receipt was made together with its notice.
    created_at = models.DateTimeField(db_default=TransactionNow())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~models.Q(title="") & ~models.Q(text=""), name="notice_says_something"),
            models.CheckConstraint(
                condition=models.Q(audience="person", person__isnull=False, group="")
                | models.Q(audience="group", person__isnull=True, group__in=["training", "held_out", "researcher"])
                | models.Q(audience="all", person__isnull=True, group=""),
                name="notice_names_its_audience",
            ),
            models.UniqueConstraint(
                fields=["author", "key"], nulls_distinct=False, name="notice_once_per_author_and_key"
            ),
            models.CheckConstraint(
                condition=models.Q(author__isnull=False) | models.Q(audience="person"),
                name="notice_without_author_is_to_a_person",
            ),
        ]
        triggers = [pgtrigger.Protect(name="notice_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return self.title


class NoticeReceipt(models.Model):
    """Somebody to whom a message went, and when they said that they have read it."""

    notice = models.ForeignKey(Notice, on_delete=models.PROTECT, related_name="receipts", db_index=False)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="notices", db_index=False
    )
    # The notice's own, here so that the page "Work" asks one small index.
    important = models.BooleanField()
    unread = models.BooleanField(default=True)
    read_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["notice", "person"], name="notice_once_per_person"),
            models.CheckConstraint(
                condition=models.Q(unread=True, read_at__isnull=True) | models.Q(unread=False, read_at__isnull=False),
                name="notice_receipt_is_unread_or_says_when",
            ),
        ]
        indexes = [
            # Somebody's messages, unread first, and how many those are.
            models.Index(fields=["person", "-unread", "-id"], name="notice_receipt_of_person"),
            models.Index(
                fields=["person", "id"],
                condition=models.Q(unread=True, important=True),
                name="notice_receipt_important",
            ),
            # Who has not read a message, then who has.
            models.Index(fields=["notice", "-unread", "id"], name="notice_receipt_of_notice"),
        ]
        triggers = [
            pgtrigger.Protect(name="notice_receipt_is_never_deleted", operation=pgtrigger.Delete),
            pgtrigger.Trigger(
                name="notice_receipt_is_made_at_sending",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                func="""
                    IF NOT NEW.unread OR NOT EXISTS (
                        SELECT FROM labeling_notice sent
                        WHERE sent.id = NEW.notice_id AND sent.created_at = now() AND sent.important = NEW.important
                    ) THEN
                        RAISE EXCEPTION 'Whom a message goes to is settled when it is sent: notice %', NEW.notice_id;
                    END IF;
                    RETURN NEW;
                """,
            ),
            pgtrigger.Trigger(
                name="notice_receipt_changes_by_reading_alone",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                func="""
                    IF NOT OLD.unread OR to_jsonb(OLD) - '{unread,read_at}'::text[]
                        <> to_jsonb(NEW) - '{unread,read_at}'::text[] THEN
                        RAISE EXCEPTION 'A message is read once, and its receipt stays: receipt %', OLD.id;
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]
