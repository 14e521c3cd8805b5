from django.urls import path

from labeling.team import api, views

ONE = "people/<int:user_id>/"
urlpatterns = [
    path("people/", views.people, name="people"),
    path("people/table.csv", views.people_csv, name="people-csv"),
    path(ONE, views.person, name="person"),
    path(f"{ONE}offboard/", views.person_offboard, name="person-offboard"),
    path(f"{ONE}activate/", views.person_activate, name="person-activate"),
    *(
        path(f"{ONE}{show}/", views.person_work, {"show": show}, name=f"person-{show}")
        for show in ("answers", "skips", "corrections", "questions")
    ),
    *(
        path(f"{ONE}{show}.csv", views.person_csv, {"show": show}, name=f"person-{show}-csv")
        for show in ("day", "week", "answers", "skips", "corrections", "agreement")
    ),
    path("given/<uuid:lease_id>/", views.answer, name="given-answer"),
]
api_urlpatterns = [
    path("people/", api.People.as_view(), name="people"),
    path(f"{ONE}offboard/", api.Offboard.as_view(), name="person-offboard"),
    path(f"{ONE}activate/", api.Activate.as_view(), name="person-activate"),
]
