from django.urls import path

from labeling.erasure import api, views

urlpatterns = [
    path("erasures/", views.erasures, name="erasures"),
    path("erasures/retention/", views.retention, name="retention"),
    path("erasures/people/", views.person_find, name="source-user-find"),
    path("erasures/people/<int:person_id>/", views.source_user, name="source-user"),
    path("erasures/people/<int:person_id>/export/", views.person_export, name="source-user-export"),
    path("erasures/people/<int:person_id>/erase/", views.person_erase, name="source-user-erase"),
    path("erasures/people/<int:person_id>/allow/", views.person_allow, name="source-user-allow"),
    path("erasures/<uuid:erasure_id>/", views.erasure, name="erasure"),
]

api_urlpatterns = [
    path("erasures/", api.Erasures.as_view(), name="erasures"),
    path("erasures/export/", api.PersonExport.as_view(), name="person-export"),
    path("erasures/retention/", api.Retentions.as_view(), name="retention"),
    path("erasures/<uuid:erasure_id>/", api.OneErasure.as_view(), name="erasure"),
]
