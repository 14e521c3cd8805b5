from django.urls import path

from labeling.quality import api, views

urlpatterns = [
    path("quality/", views.quality, name="quality"),
    path("quality/csv/", views.quality_csv, name="quality-csv"),
    path("quality/<int:user_id>/", views.quality_person, name="quality-person"),
]
api_urlpatterns = [path("quality/", api.Quality.as_view(), name="quality")]
