"""Demonstrations answer tasks, whose addresses are in leasing; these are what is beside them."""

from django.urls import path

from labeling.demos import api
from labeling.demos.views import KIND, batch_suggestions
from labeling.leasing.kinds import register
from labeling.sampling.models import Batch

register(Batch.Kind.DEMONSTRATION, KIND)
urlpatterns = [
    path("batches/<int:batch_id>/suggestions/", batch_suggestions, name="batch-suggestions"),
]
SUGGESTIONS = "tasks/<str:lease_id>/suggestions/"
api_urlpatterns = [
    path("preview/", api.Preview.as_view(), name="preview"),
    path(SUGGESTIONS, api.Suggestions.as_view(), name="task-suggestions"),
    path(SUGGESTIONS + "<int:number>/", api.OneSuggestion.as_view(), name="task-suggestion"),
    path(SUGGESTIONS + "<int:number>/stop/", api.StopSuggestion.as_view(), name="task-suggestion-stop"),
]
