from django.urls import path

from labeling.checks import api, views

urlpatterns = [
    path("checks/", views.checks, name="checks"),
    path("checks/new/", views.set_new, name="check-set-new"),
    path("checks/sets/<uuid:set_id>/", views.check_set, name="check-set"),
    path("checks/sets/<uuid:set_id>/switch/", views.set_switch, name="check-set-switch"),
    path("checks/people/<int:user_id>/", views.person, name="check-person"),
    path("checks/people/<int:user_id>/csv/", views.person_csv, name="check-person-csv"),
    path("checks/people/<int:user_id>/weeks/csv/", views.person_weeks_csv, name="check-person-weeks-csv"),
    path("checks/answers/<int:turn_id>/", views.answer, name="check-answer"),
    path("checks/alerts/", views.alerts, name="check-alerts"),
    path("checks/alerts/<uuid:alert_id>/acknowledge/", views.alert_acknowledge, name="check-alert-acknowledge"),
    path("checks/alerts/<uuid:alert_id>/tell/", views.alert_tell, name="check-alert-tell"),
]
api_urlpatterns = [
    path("checks/", api.Sets.as_view(), name="check-sets"),
    path("checks/sets/<uuid:set_id>/", api.OneSet.as_view(), name="check-set"),
    path("checks/results/", api.Results.as_view(), name="check-results"),
    path("checks/alerts/", api.Alerts.as_view(), name="check-alerts"),
    path("checks/alerts/<uuid:alert_id>/acknowledge/", api.Acknowledge.as_view(), name="check-alert-acknowledge"),
    path("checks/alerts/<uuid:alert_id>/tell/", api.Tell.as_view(), name="check-alert-tell"),
]
