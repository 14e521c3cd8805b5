from django.urls import path

from labeling.surveys import api, views

urlpatterns = [
    path("surveys/", views.surveys, name="surveys"),
    path("surveys/invitations/", views.invitations, name="survey-invitations"),
    path("surveys/<uuid:round_id>/", views.survey, name="survey"),
    path("surveys/<uuid:round_id>/decline/", views.decline, name="survey-decline"),
    path("survey-rounds/", views.rounds, name="survey-rounds"),
    path("survey-rounds/new/", views.round_new, name="survey-round-new"),
    path("survey-rounds/<uuid:round_id>/", views.survey_round, name="survey-round"),
    path("survey-rounds/<uuid:round_id>/csv/", views.round_csv, name="survey-round-csv"),
    path("survey-rounds/<uuid:round_id>/close/", views.round_close, name="survey-round-close"),
]
api_urlpatterns = [
    path("survey-rounds/", api.Rounds.as_view(), name="survey-rounds"),
    path("survey-rounds/<uuid:round_id>/", api.OneRound.as_view(), name="survey-round"),
    path("survey-rounds/<uuid:round_id>/close/", api.CloseRound.as_view(), name="survey-round-close"),
]
