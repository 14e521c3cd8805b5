from django.urls import path

from labeling.pipeline import api, views

urlpatterns = [
    path("selection/", views.selection, name="selection"),
    path("selection/compute/", views.selection_compute, name="selection-compute"),
    path("runs/", views.run_list, name="runs"),
    path("runs/new/", views.run_new, name="run-new"),
    path("runs/<uuid:run_id>/", views.run_detail, name="run"),
    path("runs/<uuid:run_id>/metrics/", views.run_metrics, name="run-metrics"),
    path("runs/<uuid:run_id>/cancel/", views.run_cancel, name="run-cancel"),
    path("runs/<uuid:run_id>/restart/", views.run_restart, name="run-restart"),
    path("models/", views.model_list, name="models"),
    path("models/<uuid:checkpoint_id>/", views.model_detail, name="model"),
    path("models/<uuid:checkpoint_id>/publish/", views.model_publish, name="model-publish"),
]

api_urlpatterns = [
    path("selection/", api.Signals.as_view(), name="selection"),
    path("runs/", api.Runs.as_view(), name="runs"),
    path("runs/<str:reference>/", api.OneRun.as_view(), name="run"),
    path("runs/<str:reference>/cancel/", api.CancelRun.as_view(), name="run-cancel"),
    path("runs/<str:reference>/restart/", api.RestartRun.as_view(), name="run-restart"),
    path("models/", api.Models.as_view(), name="models"),
    path("models/<str:reference>/", api.OneModel.as_view(), name="model"),
    path("models/<str:reference>/publish/", api.PublishModel.as_view(), name="model-publish"),
]
