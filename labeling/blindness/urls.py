from django.urls import path

from labeling.blindness import api, views

urlpatterns = [
    path("blindness/", views.blindness, name="blindness"),
    path("blindness/serve/", views.serve_term, name="blindness-serve"),
    path("blindness/terms/", views.terms, name="maker-terms"),
    path("blindness/terms/add/", views.term_add, name="maker-term-add"),
    path("blindness/terms/<int:term_id>/switch/", views.term_switch, name="maker-term-switch"),
    path("blindness/completions/<uuid:completion_id>/decide/", views.decide, name="completion-decide"),
]

api_urlpatterns = [
    path("maker-terms/", api.Terms.as_view(), name="maker-terms"),
    path("maker-terms/<str:term_id>/", api.OneTerm.as_view(), name="maker-term"),
    path("maker-marks/", api.Marks.as_view(), name="maker-marks"),
    path("maker-marks/<str:completion_id>/", api.DecideMarks.as_view(), name="maker-mark"),
]
