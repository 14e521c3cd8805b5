from django.urls import path

from labeling.practice import api, views

TASK = "tour/<int:tour_number>/<slug:task_name>/"
urlpatterns = [
    path("tour/", views.tour, name="tour"),
    path("tour/begin/", views.begin, name="tour-begin"),
    path(TASK, views.task, name="tour-task"),
    path(f"{TASK}submit/", views.submit, name="tour-submit"),
    path(f"{TASK}skip/", views.skip, name="tour-skip"),
    path(f"{TASK}feedback/", views.feedback, name="tour-feedback"),
]
api_urlpatterns = [
    path(f"{TASK}submit/", api.TourSubmit.as_view(), name="tour-submit"),
    path(f"{TASK}skip/", api.TourSkip.as_view(), name="tour-skip"),
]
