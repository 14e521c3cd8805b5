from django.urls import path

from labeling.forms import api, views

urlpatterns = [
    path("forms/", views.forms, name="forms"),
    path("forms/new/", views.new, name="form-new"),
    path("forms/<slug:name>/", views.form, name="form"),
    path("forms/<slug:name>/change/", views.change, name="form-change"),
    path("forms/<slug:name>/archive/", views.archive, name="form-archive"),
    path("forms/<slug:name>/<int:number>/", views.version, name="form-version"),
]
api_urlpatterns = [
    path("forms/", api.Forms.as_view(), name="forms"),
    path("forms/<slug:name>/", api.OneForm.as_view(), name="form"),
]
