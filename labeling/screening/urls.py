from django.urls import path

from labeling.screening import api, views

urlpatterns = [
    path("application/", views.application, name="application"),
    path("application/topics/", views.topics, name="application-topics"),
    path("application/feedback/", views.feedback, name="application-feedback"),
    path("screening/", views.rounds, name="screening"),
    path("screening/new/", views.round_new, name="screening-round-new"),
    path("screening/grading/", views.grading, name="screening-grading"),
    path("screening/coverage/", views.coverage, name="screening-coverage"),
    path("screening/coverage/csv/", views.coverage_csv, name="screening-coverage-csv"),
    path("screening/topics/add/", views.topic_add, name="screening-topic-add"),
    path("screening/topics/<int:topic_id>/retire/", views.topic_retire, name="screening-topic-retire"),
    path("screening/applicants/<uuid:application_id>/", views.applicant, name="screening-applicant"),
    path("screening/applicants/<uuid:application_id>/csv/", views.applicant_csv, name="screening-applicant-csv"),
    path("screening/applicants/<uuid:application_id>/decide/", views.decide, name="screening-decide"),
    path("screening/items/<int:chosen_id>/remove/", views.item_remove, name="screening-item-remove"),
    path("screening/items/<int:chosen_id>/note/", views.item_note, name="screening-item-note"),
    path("screening/<int:screening_id>/", views.screening_round, name="screening-round"),
    path("screening/<int:screening_id>/open/", views.round_open, name="screening-round-open"),
    path("screening/<int:screening_id>/close/", views.round_close, name="screening-round-close"),
    path("screening/<int:screening_id>/cut-offs/", views.cutoffs, name="screening-cutoffs"),
    path("screening/<int:screening_id>/invite/", views.invite, name="screening-invite"),
    path("screening/<int:screening_id>/items/<int:gate>/", views.items, name="screening-items"),
]
api_urlpatterns = [
    path("screening/rounds/", api.Rounds.as_view(), name="screening-rounds"),
    path("screening/rounds/<int:screening_id>/", api.OneRound.as_view(), name="screening-round"),
    path("screening/rounds/<int:screening_id>/items/", api.Items.as_view(), name="screening-items"),
    path("screening/rounds/<int:screening_id>/open/", api.OpenRound.as_view(), name="screening-round-open"),
    path("screening/rounds/<int:screening_id>/close/", api.CloseRound.as_view(), name="screening-round-close"),
    path("screening/rounds/<int:screening_id>/invitations/", api.Invitations.as_view(), name="screening-invitations"),
    path("screening/rounds/<int:screening_id>/applicants/", api.Applicants.as_view(), name="screening-applicants"),
    path("screening/applicants/<uuid:application_id>/", api.OneApplicant.as_view(), name="screening-applicant"),
    path("screening/applicants/<uuid:application_id>/decisions/", api.Decisions.as_view(), name="screening-decide"),
    path("screening/grading/", api.Grading.as_view(), name="screening-grading"),
    path("screening/coverage/", api.Coverage.as_view(), name="screening-coverage"),
]
