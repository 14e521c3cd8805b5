from django.urls import path

from labeling.governance import api, views

urlpatterns = [
    path("intake/", views.imports, name="imports"),
    path("intake/<uuid:import_id>/", views.one_import, name="import"),
    path("intake/<uuid:import_id>/resume/", views.import_act, {"act": "resume"}, name="import-restart"),
    path("intake/<uuid:import_id>/give-up/", views.import_act, {"act": "give-up"}, name="import-cancel"),
    path("prompts/", views.prompts, name="prompts"),
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
    path("imports/", api.Imports.as_view(), name="imports"),
    path("imports/<uuid:import_id>/", api.OneImport.as_view(), name="import"),
    path("imports/<uuid:import_id>/problems/", api.ImportProblems.as_view(), name="import-problems"),
    path("imports/<uuid:import_id>/resume/", api.ImportResume.as_view(), name="import-resume"),
    path("imports/<uuid:import_id>/give-up/", api.ImportGiveUp.as_view(), name="import-give-up"),
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
