from django.apps import AppConfig
from django.db.models.signals import post_migrate


class LabelingConfig(AppConfig):
    name = "labeling"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        post_migrate.connect(make_built_in, sender=self)
        from labeling.adjudication import services as adjudication
        from labeling.agreement import reports as agreement
        from labeling.governance import deciding
        from labeling.leasing import apart, following, gates
        from labeling.leasing import services as leasing
        from labeling.onboarding import services as onboarding
        from labeling.onboarding.queries import last_event
        from labeling.people import services as people
        from labeling.people.models import User
        from labeling.screening.queries import tasks_of

        agreement.CHANGES.append(last_event)
        apart.register(User.Group.APPLICANT, tasks_of)
        deciding.FOLLOWERS.append(following.follow_prompts)
        leasing.CLOSED.append(adjudication.look_when_closed)
        gates.ONBOARDING.append(onboarding.check_onboarding)
        people.AT_JOINING.append(lambda person: onboarding.begin_onboarding(person=person))


def make_built_in(**_: object) -> None:
    """What every installation has from its first migration on."""
    from labeling.forms.services import ensure_built_in
    from labeling.sampling import marks
    from labeling.screening.services import ensure_topics
    from labeling.surveys import services as surveys

    ensure_built_in()
    marks.ensure_built_in()
    surveys.ensure_built_in()
    ensure_topics()
