from django.urls import path

from labeling.label_errors import api, views

urlpatterns = [
    path("label-errors/", views.label_errors, name="label-errors"),
    path("label-errors/look/", views.look, name="label-errors-look"),
    path("label-errors/draw/", views.draw, name="label-errors-draw"),
    path("label-errors/next/", views.take_next, name="label-errors-next"),
    path("label-errors/judged/", views.judged, name="label-errors-judged"),
    path("label-errors/csv/<slug:table>/", views.label_errors_csv, name="label-errors-csv"),
    path("label-errors/<uuid:error_id>/second-look/", views.second_look, name="label-error-second-look"),
    path("work/<str:lease_id>/keep/", views.keep, name="answer-keep"),
    path("label-errors/<uuid:error_id>/", views.label_error, name="label-error"),
]
api_urlpatterns = [
    path("label-errors/", api.LabelErrors.as_view(), name="label-errors"),
    path("label-errors/suspicious/", api.Suspicious.as_view(), name="label-errors-suspicious"),
    path("label-errors/look/", api.Look.as_view(), name="label-errors-look"),
    path("label-errors/draws/", api.Draws.as_view(), name="label-errors-draws"),
    path("label-errors/next/", api.Next.as_view(), name="label-errors-next"),
    path("label-errors/<uuid:error_id>/verdict/", api.Verdict.as_view(), name="label-error-verdict"),
    path("label-errors/<uuid:error_id>/second-look/", api.AskSecondLook.as_view(), name="label-error-second-look"),
    path("second-looks/", api.SecondLooks.as_view(), name="second-looks"),
    path("tasks/<str:lease_id>/keep/", api.Keep.as_view(), name="answer-keep"),
]
