from django.urls import path

from labeling.audit import views

urlpatterns = [
    path("audit/", views.audit, name="audit"),
    path("audit/table.csv", views.audit_csv, name="audit-csv"),
]
