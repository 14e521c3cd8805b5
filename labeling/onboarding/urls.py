from django.urls import path

from labeling.onboarding import api, views

urlpatterns = [
    path("onboarding/", views.onboarding, name="onboarding"),
    path("onboarding/people.csv", views.onboarding_csv, name="onboarding-csv"),
    path("onboarding/settings/", views.settings, name="onboarding-settings"),
    path("onboarding/<int:user_id>/", views.newcomer, name="newcomer"),
    path("onboarding/<int:user_id>/practice.csv", views.practice_csv, name="newcomer-practice-csv"),
    path("onboarding/<int:user_id>/probation.csv", views.probation_csv, name="newcomer-probation-csv"),
    path("onboarding/<int:user_id>/begin/", views.begin, name="onboarding-begin"),
]
api_urlpatterns = [
    path("onboarding/", api.Newcomers.as_view(), name="onboarding"),
    path("onboarding/mine/", api.OwnProgress.as_view(), name="onboarding-mine"),
    path("onboarding/<int:user_id>/", api.Newcomer.as_view(), name="newcomer"),
    path("onboarding/<int:user_id>/begin/", api.Begin.as_view(), name="onboarding-begin"),
]
