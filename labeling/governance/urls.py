from django.urls import path

from labeling.governance import api, views

urlpatterns = [
    path("prompts/", views.prompts, name="prompts"),
    path("prompts/import/", views.prompt_import, name="prompt-import"),
    path("prompts/triage/", views.prompt_triage, name="prompt-triage"),
    path("prompts/<uuid:prompt_id>/", views.prompt, name="prompt"),
    path("prompts/<uuid:prompt_id>/decide/", views.prompt_decide, name="prompt-decide"),
]
api_urlpatterns = [
    path("prompts/", api.Prompts.as_view(), name="prompts"),
    path("prompts/<uuid:prompt_id>/", api.OnePrompt.as_view(), name="prompt"),
]
