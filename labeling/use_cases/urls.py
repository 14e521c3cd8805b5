from django.urls import path

from labeling.use_cases import api, views

urlpatterns = [
    path("use-cases/", views.use_cases, name="use-cases"),
    path("use-cases/mix.csv", views.use_cases_csv, name="use-cases-csv"),
    path("use-cases/target/", views.use_cases_target, name="use-cases-target"),
    path("use-cases/train/", views.use_cases_train, name="use-cases-train"),
    path("use-cases/assign/", views.use_cases_assign, name="use-cases-assign"),
    path("use-cases/assign/<uuid:prompt_id>/", views.use_cases_say, name="use-cases-say"),
]
api_urlpatterns = [
    path("use-cases/", api.UseCases.as_view(), name="use-cases"),
    path("use-cases/target/", api.Target.as_view(), name="use-cases-target"),
    path("use-cases/train/", api.Train.as_view(), name="use-cases-train"),
    path("use-cases/next/", api.Next.as_view(), name="use-cases-next"),
    path("prompts/<uuid:prompt_id>/use-case/", api.Say.as_view(), name="use-cases-say"),
]
