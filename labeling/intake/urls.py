from django.urls import path

from labeling.intake import api, views

urlpatterns = [
    path("sources/", views.sources, name="sources"),
    path("sources/new/", views.source_new, name="source-new"),
    path("sources/<int:source_id>/", views.source, name="source"),
    path("sources/<int:source_id>/keys/", views.source_key, name="source-key"),
    path("sources/<int:source_id>/keys/<uuid:key_id>/revoke/", views.source_key_revoke, name="source-key-revoke"),
]
api_urlpatterns = [
    path("sources/", api.Sources.as_view(), name="sources"),
    path("sources/<int:source_id>/", api.OneSource.as_view(), name="source"),
    path("sources/<int:source_id>/keys/", api.SourceKeys.as_view(), name="source-keys"),
    path("sources/<int:source_id>/keys/<uuid:key_id>/revoke/", api.RevokeSourceKey.as_view(), name="source-key-revoke"),
]
