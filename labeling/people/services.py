"""Accounts, their roles and groups, invitations and API tokens: every change, each with its line in the audit trail."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from zoneinfo import available_timezones

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from labeling.audit import services as audit
from labeling.audit.models import AuditEvent
from labeling.people.api_auth import token_hash
from labeling.people.keys import read_keys
from labeling.people.models import ApiToken, Invitation, Sensitive, TeamSettings, User
from labeling.people.queries import unchanged_settings
from labeling.refusals import Conflict, NotFound, Refusal, TooMany
from labeling.text import check_text

# Where a role's answers may count. Staff answers are a group of their own and never mix with labelers'.
GROUPS = {
    User.Role.LABELER: (User.Group.TRAINING, User.Group.HELD_OUT, User.Group.SIMULATED, User.Group.APPLICANT),
    User.Role.RESEARCHER: (User.Group.RESEARCHER,),
    User.Role.ADMIN: (User.Group.RESEARCHER,),
}
TOKENS_PER_PERSON = 20
INVITATION_DAYS = (1, 90)  # shortest and longest life of a link
# Ten wrong passwords from one place within ten minutes, then a wait: guessing stays slow, a typing error does not hurt.
SIGN_IN_FAILURES, SIGN_IN_WINDOW = 10, timedelta(minutes=10)


# The figures of a team: least, most, and what they count. Also the form's bounds.
FIGURES = {
    "lease_seconds": (60, 86_400),
    "lease_grace_seconds": (0, 3_600),
    "ahead_seconds": (10, 3_600),
    "idle_seconds": (10, 900),
    "correction_hours": (0, 8_760),
    "survey_minimum": (3, 100),
    "check_percent": (0, 100),
    "check_anchor_days": (1, 3_650),
    "check_alert_percent": (0, 100),
}
MOST_A_DAY = 10_000
REASON_CHARACTERS = 300


class InvitationGone(Refusal):
    """The link was good once."""

    status = 410
    code = "invitation_gone"


def check_role_and_group(*, role: str, group: str) -> None:
    """Refusal where there is no such role, or its answers may not count in `group`."""
    if role not in GROUPS:
        raise Refusal(
            _("There is no role {role!r}; choose one of {values}.").format(
                role=role, values=", ".join(User.Role.values)
            )
        )
    if group not in GROUPS[role]:
        allowed = ", ".join(GROUPS[role])
        raise Refusal(
            _("A {role} cannot be in the group {group!r}; choose one of: {allowed}.").format(
                role=role, group=group, allowed=allowed
            )
        )


def check_password(password: str, *, user: User) -> None:
    """Refusal with every reason why `password` is too weak."""
    try:
        validate_password(password, user=user)
    except ValidationError as error:
        raise Refusal(" ".join(error.messages)) from None


def _new_user(*, username: str, password: str, role: str, group: str, display_name: str) -> User:
    """A checked User that is not stored yet, so that the slow hash is made outside of any transaction."""
    check_role_and_group(role=role, group=group)
    username = User.normalize_username(check_text(username, where=_("the user name")).strip())
    display_name = check_text(display_name, where=_("the display name")).strip()
    user = User(username=username, role=role, group=group, display_name=display_name)
    check_password(password, user=user)
    user.password = make_password(password)
    try:
        user.clean_fields()
    except ValidationError as error:
        problems = "; ".join(f"{name}: {' '.join(words)}" for name, words in error.message_dict.items())
        raise Refusal(_("The account cannot be made. {problems}").format(problems=problems)) from None
    return user


# What features above do with each new account, in the transaction that makes it; they add themselves (apps.py).
AT_JOINING: list[Callable[[User], object]] = []


def _store_user(user: User) -> User:
    """Conflict where the name is taken, also in other letter case: "Ada" beside "ada" only confuses."""
    taken = Conflict(_("The user name {user!r} is taken; choose another.").format(user=user.username))
    if User.objects.filter(username__iexact=user.username).exists():
        raise taken
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError:
        raise taken from None
    for act in AT_JOINING:
        act(user)
    return user


def create_user(
    *, username: str, password: str, role: str, group: str, display_name: str = "", created_by: User | None = None
) -> User:
    """A new account that can sign in at once. Refusal for a weak password or a role that does not fit the group."""
    user = _new_user(username=username, password=password, role=role, group=group, display_name=display_name)
    with transaction.atomic(durable=True):
        _store_user(user)
        audit.record(actor=created_by, action="user.created", subject=user, role=role, group=group)
    return user


def set_password(*, user: User, password: str, actor: User | None) -> User:
    """Another password; whoever is signed in with the old one is out."""
    check_password(password, user=user)
    user.password = make_password(password)
    with transaction.atomic(durable=True):
        user.save(update_fields=["password"])
        audit.record(actor=actor, action="user.password_set", subject=user)
    return user


def change_display_name(*, user: User, display_name: str) -> User:
    user.display_name = check_text(display_name, where=_("the display name")).strip()
    if len(user.display_name) > 80:
        raise Refusal(_("A display name has at most 80 characters; shorten it."))
    user.save(update_fields=["display_name"])
    return user


def check_language(language: str) -> str:
    """`language` itself, empty for none in particular; Refusal where Kwise does not speak it."""
    if language not in ("", *dict(settings.LANGUAGES)):
        raise Refusal(
            _("There is no language {language!r} here; choose one of {languages}.").format(
                language=language[:20], languages=", ".join(dict(settings.LANGUAGES))
            )
        )
    return language


def change_language(*, user: User, language: str) -> User:
    """The person's language from the next page on, whichever browser they use."""
    user.language = check_language(language)
    user.save(update_fields=["language"])
    return user


@transaction.atomic(durable=True)
def set_daily_quota(*, user_id: int, quota: int | None, actor: User) -> User:
    """Answers a day at most, from the next task on; None lifts it."""
    if quota is not None and not 1 <= quota <= MOST_A_DAY:
        raise Refusal(
            _("A quota is from 1 to {most_a_day} answers a day, or empty for none; this is {quota}.").format(
                most_a_day=MOST_A_DAY, quota=quota
            )
        )
    user = lock_person(user_id)
    if user.daily_quota != quota:
        before, user.daily_quota = user.daily_quota, quota
        user.save(update_fields=["daily_quota"])
        audit.record(actor=actor, action="user.quota_set", subject=user, before={"quota": before}, quota=quota)
    return user


@transaction.atomic(durable=True)
def change_team_settings(*, actor: User, time_zone: str, **figures: int) -> TeamSettings:
    """The team's figures from now on. Refusal outside of FIGURES, or for a time zone that is none."""
    if set(figures) != set(FIGURES):
        raise Refusal(_("The figures are {figures}; send each of them.").format(figures=", ".join(FIGURES)))
    for name, number in figures.items():
        least, most = FIGURES[name]
        if not least <= number <= most:
            raise Refusal(
                _("{name} is {number}; it must be from {least} to {most}.").format(
                    name=name, number=number, least=least, most=most
                )
            )
    if time_zone not in available_timezones():
        raise Refusal(
            _("There is no time zone {time_zone!r}; name one such as Europe/Berlin.").format(time_zone=time_zone[:60])
        )
    new = {**figures, "time_zone": time_zone}
    TeamSettings.objects.bulk_create([unchanged_settings()], ignore_conflicts=True)
    row = TeamSettings.objects.select_for_update().get()
    changed = {name: value for name, value in new.items() if getattr(row, name) != value}
    if changed:
        before = {name: getattr(row, name) for name in changed}
        TeamSettings.objects.update(**changed)
        row.refresh_from_db()
        audit.record(actor=actor, action="settings.changed", subject=row, before=before, **changed)
    return row


def opt_out(*, user: User, categories: Collection[str]) -> User:
    """The labeler is served no prompt of these categories from now on, and all others. Nobody else is told."""
    unknown = set(categories) - set(Sensitive.values)
    if unknown:
        raise Refusal(
            _("{unknown!r} is no category; they are {values}.").format(
                unknown=sorted(unknown)[0][:40], values=", ".join(Sensitive.values)
            )
        )
    user.opted_out = sorted(set(categories))
    user.save(update_fields=["opted_out"])
    return user


def change_keys(*, user: User, keys: Mapping[str, str], letter_keys: bool) -> User:
    """The person's own keys on the task pages. Refusal for keys that `read_keys` refuses."""
    user.keys, user.letter_keys = read_keys(keys), letter_keys
    user.save(update_fields=["keys", "letter_keys"])
    return user


def set_role(*, person: User, role: str, group: str, reason: str, actor: User, decided: bool = False) -> None:
    """Another role or group for a person that `lock_person` gave; answers given so far keep the group they were given
    in. Refusal for a change that a group never takes: applicants' is `decided` in their screening, and nowhere else.

    Knows nothing of answers: `team.services.change_role` does, and is what pages call.
    """
    check_role_and_group(role=role, group=group)
    reason = check_reason(reason)
    if (person.group == User.Group.SIMULATED) != (group == User.Group.SIMULATED):
        raise Refusal(_("A simulated labeler stays simulated, and a person never becomes one; make another account."))
    if User.Group.APPLICANT in (person.group, group) and not decided:
        raise Refusal(_("Who is an applicant, and who is one no longer, is decided in their screening."))
    if person.group == User.Group.HELD_OUT and group != User.Group.HELD_OUT:
        raise Refusal(
            _(
                "A held-out labeler stays held out: what models are measured by must never have trained one. Make "
                "another account for somebody else."
            )
        )
    before = {"role": person.role, "group": person.group}
    if person.role == User.Role.ADMIN and role != User.Role.ADMIN:
        keep_an_admin(person)
    person.role, person.group = role, group
    person.save(update_fields=["role", "group"])
    audit.record(
        actor=actor, action="user.role_changed", subject=person, before=before, role=role, group=group, reason=reason
    )


def switch_off(*, person: User, reason: str, actor: User | None, returned: int, stopped: int) -> None:
    """Nobody signs in as a person that `lock_person` gave, and nothing they opened stays open: sessions, API tokens,
    and the links of invitations that they made. Answers stay.

    `returned` tasks and `stopped` suggestions, which `team.services.offboard` saw to, go into the audit trail.
    """
    reason = check_reason(reason)
    if person.role == User.Role.ADMIN:
        keep_an_admin(person)
    person.is_active, person.offboarded_at, person.offboard_reason = False, Now(), reason
    person.sessions_ended += 1
    person.save(update_fields=["is_active", "offboarded_at", "offboard_reason", "sessions_ended"])
    tokens = ApiToken.objects.filter(user=person, revoked_at=None).update(revoked_at=Now())
    links = Invitation.objects.filter(created_by=person, accepted_at=None, revoked_at=None, expires_at__gt=Now())
    audit.record(
        actor=actor,
        action="user.offboarded",
        subject=person,
        reason=reason,
        tokens_revoked=tokens,
        invitations_revoked=links.update(revoked_at=Now()),
        tasks_returned=returned,
        suggestions_stopped=stopped,
    )
    person.refresh_from_db()


@transaction.atomic(durable=True)
def activate_user(*, user_id: int, actor: User) -> User:
    """The account can sign in again, with its old password and none of its old sessions and tokens."""
    person = lock_person(user_id)
    if not person.is_active:
        before = person.offboard_reason
        person.is_active, person.offboarded_at, person.offboard_reason = True, None, ""
        # Once more: an account that was switched off in another way has sessions yet.
        person.sessions_ended += 1
        person.save(update_fields=["is_active", "offboarded_at", "offboard_reason", "sessions_ended"])
        audit.record(actor=actor, action="user.activated", subject=person, was_off_because=before)
    return person


def check_reason(reason: str) -> str:
    """`reason` as it is kept; Refusal where it says nothing or too much."""
    reason = check_text(reason, where=_("the reason")).strip()
    if not 1 <= len(reason) <= REASON_CHARACTERS:
        raise Refusal(
            _("Say why in 1 to {reason_characters} characters; the audit trail keeps it.").format(
                reason_characters=REASON_CHARACTERS
            )
        )
    return reason


def lock_person(user_id: int) -> User:
    """The person, locked to the commit as every grant of a task locks them. NotFound where there is none.

    Of all that a transaction locks this comes first. Admins are locked before, in one order, so that two who demote
    each other cannot both pass.
    """
    # Without the key: an answer that is being stored refers to its labeler, and must not wait for this.
    admins = User.objects.select_for_update(no_key=True).filter(role=User.Role.ADMIN)
    list(admins.order_by("pk").values_list("pk"))
    person = User.objects.select_for_update(no_key=True).filter(pk=user_id).first()
    if person is None:
        raise NotFound(_("There is no person with this number."))
    return person


def keep_an_admin(person: User) -> None:
    """Conflict where `person` is the only admin who can sign in."""
    others = User.objects.filter(role=User.Role.ADMIN, is_active=True).exclude(pk=person.pk)
    if person.is_active and not others.exists():
        raise Conflict(
            _("{user} is the only active admin; make somebody else an admin first.").format(user=person.username)
        )


def create_invitation(*, role: str, group: str, days: int, created_by: User, note: str = "") -> tuple[Invitation, str]:
    """A link's row and its token, which is shown once and never stored. Applicants' links belong to a screening round:
    `screening.services.invite` makes them."""
    if group == User.Group.APPLICANT:
        raise Refusal(_("Applicants are invited to a screening round; open the round and make the link there."))
    check_invitation(role=role, group=group, days=days, note=note)
    with transaction.atomic(durable=True):
        return store_invitation(role=role, group=group, days=days, created_by=created_by, note=note)


def check_invitation(*, role: str, group: str, days: int, note: str) -> None:
    """Refusal for a link that `store_invitation` would not take."""
    check_role_and_group(role=role, group=group)
    if group == User.Group.SIMULATED:
        raise Refusal(_("Simulated labelers are programs and need no invitation; choose another group."))
    shortest, longest = INVITATION_DAYS
    if not shortest <= days <= longest:
        raise Refusal(
            _("A link lives {shortest} to {longest} days, not {days}.").format(
                shortest=shortest, longest=longest, days=days
            )
        )
    note = check_text(note, where=_("the note")).strip()
    if len(note) > 120:
        raise Refusal(_("A note has at most 120 characters; shorten it."))


def store_invitation(*, role: str, group: str, days: int, created_by: User, note: str) -> tuple[Invitation, str]:
    """`create_invitation` in the caller's transaction, of what `check_invitation` let through."""
    token = secrets.token_urlsafe(32)
    invitation = Invitation.objects.create(
        token_sha256=token_hash(token),
        role=role,
        group=group,
        note=note.strip(),
        created_by=created_by,
        expires_at=Now() + timedelta(days=days),
    )
    audit.record(actor=created_by, action="invitation.created", subject=invitation, role=role, group=group, days=days)
    return invitation, token


@transaction.atomic(durable=True)
def revoke_invitation(*, invitation_id: int, actor: User) -> Invitation:
    """The link opens no account any more. Conflict where somebody has used it."""
    invitation = Invitation.objects.select_for_update().filter(pk=invitation_id).first()
    if invitation is None:
        raise NotFound(_("There is no invitation with this number."))
    if invitation.accepted_at:
        raise Conflict(_("This invitation was accepted already; offboard whom it brought instead."))
    if invitation.revoked_at is None:
        invitation.revoked_at = timezone.now()
        invitation.save(update_fields=["revoked_at"])
        audit.record(actor=actor, action="invitation.revoked", subject=invitation)
    return invitation


def find_invitation(*, token: str, lock: bool = False) -> Invitation:
    """The invitation that `token` opens. NotFound for a wrong token, InvitationGone for one that is over."""
    rows = Invitation.objects.select_for_update() if lock else Invitation.objects.all()
    invitation = rows.filter(token_sha256=token_hash(token)).first()
    if invitation is None:
        raise NotFound(_("This invitation link is not complete or was never made; ask for a new one."))
    if invitation.accepted_at:
        raise InvitationGone(
            _("This invitation was used already. Sign in with the account it made, or ask for a new one.")
        )
    if invitation.revoked_at:
        raise InvitationGone(_("This invitation was withdrawn; ask for a new one."))
    # The database's clock, and also the second one, when two requests hold the same link.
    if not Invitation.objects.filter(pk=invitation.pk, expires_at__gt=Now()).exists():
        raise InvitationGone(_("This invitation has expired; ask for a new one."))
    return invitation


def accept_invitation(*, token: str, username: str, password: str, display_name: str = "") -> User:
    """The one account that this link makes. Two who press at once: one account, InvitationGone for the other."""
    offer = find_invitation(token=token)
    user = _new_user(
        username=username, password=password, role=offer.role, group=offer.group, display_name=display_name
    )
    with transaction.atomic(durable=True):
        invitation = find_invitation(token=token, lock=True)
        _store_user(user)
        invitation.accepted_by, invitation.accepted_at = user, timezone.now()
        invitation.save(update_fields=["accepted_by", "accepted_at"])
        audit.record(actor=user, action="invitation.accepted", subject=invitation, role=user.role, group=user.group)
    return user


@transaction.atomic(durable=True)
def create_token(*, user: User, name: str) -> tuple[ApiToken, str]:
    """A new API token's row and the token, which is shown once and never stored."""
    name = check_text(name, where=_("the name")).strip()
    if not 1 <= len(name) <= 80:
        raise Refusal(_("Name the token in 1 to 80 characters, so that you know later what uses it."))
    # The row lock makes the count exact when the form is sent twice at once.
    User.objects.select_for_update().get(pk=user.pk)
    if ApiToken.objects.filter(user=user, revoked_at=None).count() >= TOKENS_PER_PERSON:
        raise Conflict(
            _("You have {tokens_per_person} tokens; revoke one that nothing uses any more.").format(
                tokens_per_person=TOKENS_PER_PERSON
            )
        )
    token = secrets.token_urlsafe(32)
    row = ApiToken.objects.create(user=user, name=name, token_sha256=token_hash(token))
    audit.record(actor=user, action="token.created", subject=row, name=name)
    return row, token


@transaction.atomic(durable=True)
def revoke_token(*, token_id, user: User) -> None:
    """The token opens nothing any more. NotFound for an unknown one and for somebody else's."""
    row = ApiToken.objects.select_for_update().filter(pk=token_id, user=user).first()
    if row is None:
        raise NotFound(_("You have no token with this number."))
    if row.revoked_at is None:
        row.revoked_at = timezone.now()
        row.save(update_fields=["revoked_at"])
        audit.record(actor=user, action="token.revoked", subject=row, name=row.name)


def _place(address: str) -> str:
    """A network address as the audit trail keeps it: told apart, not told."""
    return hmac.new(settings.PROJECT_SALT.encode(), address.encode(), hashlib.sha256).hexdigest()[:16]


def check_sign_in_rate(*, username: str, address: str) -> None:
    """TooMany after SIGN_IN_FAILURES wrong passwords for this account from this address within SIGN_IN_WINDOW."""
    user = User.objects.filter(username=User.normalize_username(username)).first()
    if user is None:
        return
    failures = AuditEvent.objects.filter(
        subject_type="user",
        subject_id=str(user.pk),
        action="user.sign_in_failed",
        at__gt=Now() - SIGN_IN_WINDOW,
        detail__place=_place(address),
    )
    if failures[:SIGN_IN_FAILURES].count() >= SIGN_IN_FAILURES:
        minutes = int(SIGN_IN_WINDOW.total_seconds() // 60)
        raise TooMany(
            _("Too many wrong passwords for this account. Wait {minutes} minutes, then try again.").format(
                minutes=minutes
            )
        )


def note_failed_sign_in(*, username: str, address: str) -> None:
    user = User.objects.filter(username=User.normalize_username(username)).first()
    if user is not None:
        audit.record(actor=None, action="user.sign_in_failed", subject=user, place=_place(address))
