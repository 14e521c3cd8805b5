from django.urls import path

from labeling.background import api, views

urlpatterns = [
    path("jobs/", views.jobs, name="jobs"),
    path("jobs/<uuid:job_id>/", views.job, name="job"),
    path("jobs/<uuid:job_id>/cancel/", views.job_cancel, name="job-cancel"),
    path("jobs/<uuid:job_id>/retry/", views.job_retry, name="job-retry"),
]
api_urlpatterns = [
    path("jobs/", api.Jobs.as_view(), name="jobs"),
    path("jobs/<uuid:job_id>/", api.OneJob.as_view(), name="job"),
    path("jobs/<uuid:job_id>/cancel/", api.CancelJob.as_view(), name="job-cancel"),
    path("jobs/<uuid:job_id>/retry/", api.RetryJob.as_view(), name="job-retry"),
]
