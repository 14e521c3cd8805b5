from django.urls import path

from labeling.governance import api, views

urlpatterns = [
    path("prompts/", views.prompts, name="prompts"),
    path("prompts/import/", views.prompt_import, name="prompt-import"),
    path("prompts/triage/", views.prompt_triage, name="prompt-triage"),
    path("prompts/<uuid:prompt_id>/", views.prompt, name="prompt"),
    path("prompts/<uuid:prompt_id>/decide/", views.prompt_decide, name="prompt-decide"),
    path("prompts/<uuid:prompt_id>/undo/", views.prompt_undo, name="prompt-undo"),
    path("prompts/<uuid:prompt_id>/original/", views.prompt_original, name="prompt-original"),
    path("personal-data/", views.personal_data_page, name="personal-data"),
    path("personal-data/policy/", views.personal_data_policy, name="personal-data-policy"),
    path("personal-data/rescan/", views.personal_data_rescan, name="personal-data-rescan"),
    path("personal-data/sample/", views.personal_data_sample, name="personal-data-sample"),
]
api_urlpatterns = [
    path("prompts/", api.Prompts.as_view(), name="prompts"),
    path("prompts/triage/", api.Triage.as_view(), name="prompt-triage"),
    path("prompts/<uuid:prompt_id>/", api.OnePrompt.as_view(), name="prompt"),
    path("prompts/<uuid:prompt_id>/decide/", api.Decide.as_view(), name="prompt-decide"),
    path("prompts/<uuid:prompt_id>/undo/", api.Undo.as_view(), name="prompt-undo"),
    path("prompts/<uuid:prompt_id>/original/", api.OriginalText.as_view(), name="prompt-original"),
    path("personal-data/", api.PersonalData.as_view(), name="personal-data"),
    path("personal-data/policy/", api.PolicyInForce.as_view(), name="personal-data-policy"),
    path("personal-data/rescan/", api.Rescan.as_view(), name="personal-data-rescan"),
    path("personal-data/samples/", api.Samples.as_view(), name="personal-data-samples"),
]
