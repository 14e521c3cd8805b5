from django.urls import path

from labeling.guidelines import api, views

urlpatterns = [
    path("guidelines/", views.newest, name="guidelines"),
    path("guidelines/versions/", views.versions, name="guideline-versions"),
    path("guidelines/new/", views.new, name="guideline-new"),
    path("guidelines/<int:number>/", views.one, name="guideline"),
    path("guidelines/<int:number>/read/", views.read, name="guideline-read"),
]
api_urlpatterns = [
    path("guidelines/", api.NewestGuideline.as_view(), name="guidelines"),
    path("guidelines/<int:number>/read/", api.ReadGuideline.as_view(), name="guideline-read"),
]
