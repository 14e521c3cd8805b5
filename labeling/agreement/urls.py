from django.urls import path

from labeling.agreement import api, views

urlpatterns = [
    path("agreement/", views.agreement, name="agreement"),
    path("agreement/<slug:name>.csv", views.agreement_csv, name="agreement-csv"),
]
api_urlpatterns = [path("agreement/", api.Agreement.as_view(), name="agreement")]
