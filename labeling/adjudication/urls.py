from django.urls import path

from labeling.adjudication import api, views

urlpatterns = [
    path("adjudication/", views.adjudication, name="adjudication"),
    path("adjudication/csv/", views.adjudication_csv, name="adjudication-csv"),
    path("adjudication/rule/", views.team_rule, name="adjudication-rule"),
    path("adjudication/batches/<int:batch_id>/", views.batch_rule, name="adjudication-batch"),
    path("adjudication/<uuid:task_id>/", views.adjudication_task, name="adjudication-task"),
    path("adjudication/<uuid:task_id>/send/", views.send, name="adjudication-send"),
    path("work/adjudication/<uuid:task_id>/take/", views.take, name="adjudication-take"),
    path("work/adjudication/<uuid:lease_id>/reveal/", views.reveal, name="adjudication-reveal"),
]
api_urlpatterns = [
    path("adjudication/", api.Cases.as_view(), name="adjudication"),
    path("adjudication/rule/", api.TeamRule.as_view(), name="adjudication-rule"),
    path("adjudication/batches/<str:batch_id>/rule/", api.BatchRule.as_view(), name="adjudication-batch"),
    path("adjudication/<uuid:task_id>/", api.OneCase.as_view(), name="adjudication-case"),
    path("adjudication/<uuid:task_id>/take/", api.TakeCase.as_view(), name="adjudication-take"),
    path("adjudication/<uuid:task_id>/send/", api.SendCase.as_view(), name="adjudication-send"),
    path("adjudication/<uuid:task_id>/reveal/", api.RevealCase.as_view(), name="adjudication-reveal"),
]
