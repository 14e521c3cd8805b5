"""Demonstrations answer tasks, whose addresses are in leasing; these are what is beside them."""

from django.urls import path

from labeling.demos import api, views
from labeling.demos.views import DIALOGUE, KIND
from labeling.leasing.kinds import register
from labeling.sampling.models import Batch

register(Batch.Kind.DEMONSTRATION, KIND)
register(Batch.Kind.DIALOGUE, DIALOGUE)
urlpatterns = [
    path("written/", views.written, name="written"),
    path("written/<uuid:demonstration_id>/", views.written_one, name="written-one"),
]
api_urlpatterns = [
    path("preview/", api.Preview.as_view(), name="preview"),
]
