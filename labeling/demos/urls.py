"""What is written answers tasks, whose addresses are in leasing; these are what is beside them."""

from django.urls import path

from labeling.demos import api, views
from labeling.leasing.kinds import register
from labeling.sampling.models import Batch

register(Batch.Kind.DEMONSTRATION, views.KIND)
register(Batch.Kind.DIALOGUE, views.DIALOGUE)
register(Batch.Kind.PROMPT, views.PROMPT_KIND)
urlpatterns = [
    path("written/", views.written, name="written"),
    path("written/<uuid:demonstration_id>/", views.written_one, name="written-one"),
    path("batches/<int:batch_id>/suggestions/", views.batch_suggestions, name="batch-suggestions"),
    path("batches/<int:batch_id>/written/", views.written_prompts, name="written-prompts"),
]
SUGGESTIONS = "tasks/<str:lease_id>/suggestions/"
api_urlpatterns = [
    path("preview/", api.Preview.as_view(), name="preview"),
    path(SUGGESTIONS, api.Suggestions.as_view(), name="task-suggestions"),
    path(SUGGESTIONS + "<int:number>/", api.OneSuggestion.as_view(), name="task-suggestion"),
    path(SUGGESTIONS + "<int:number>/stop/", api.StopSuggestion.as_view(), name="task-suggestion-stop"),
]
