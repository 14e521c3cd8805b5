from django.urls import path

from labeling.pay import api, views

ONE = "payroll/people/<int:user_id>/"
urlpatterns = [
    path("pay/", views.mine, name="pay"),
    path("pay/ledger.csv", views.mine_csv, name="pay-csv"),
    path("pay/weeks.csv", views.mine_weeks_csv, name="pay-weeks-csv"),
    path("pay/ask/", views.ask, name="pay-ask"),
    path("pay/entries/<int:entry_id>/ask/", views.ask, name="pay-ask-entry"),
    path("payroll/", views.payroll, name="payroll"),
    path("payroll/people.csv", views.payroll_csv, name="payroll-csv"),
    path("payroll/ledger.csv", views.ledger_csv, name="payroll-ledger-csv"),
    path("payroll/settings/", views.pay_settings, name="payroll-settings"),
    path("payroll/requests/", views.requests, name="payroll-requests"),
    path("payroll/requests/<uuid:request_id>/", views.one_request, name="payroll-request"),
    path(ONE, views.person, name="payroll-person"),
    path(f"{ONE}ledger.csv", views.person_csv, name="payroll-person-csv"),
    path(f"{ONE}weeks.csv", views.person_weeks_csv, name="payroll-person-weeks-csv"),
    path(f"{ONE}rates/", views.rate_set, name="payroll-rate"),
    path(f"{ONE}rates/<int:rate_id>/take-back/", views.rate_take_back, name="payroll-rate-take-back"),
    path(f"{ONE}corrections/", views.correct, name="payroll-correct"),
    path(f"{ONE}payments/", views.payment, name="payroll-payment"),
]
api_urlpatterns = [
    path("pay/", api.OwnPay.as_view(), name="pay"),
    path("pay/rates/", api.OwnRates.as_view(), name="pay-rates"),
    path("pay/weeks/", api.OwnWeeks.as_view(), name="pay-weeks"),
    path("pay/requests/", api.OwnRequests.as_view(), name="pay-requests"),
    path("pay/ledger.csv", api.OwnLedgerFile.as_view(), name="pay-csv"),
    path("payroll/", api.Payroll.as_view(), name="payroll"),
    path("payroll/people.csv", api.PayrollFile.as_view(), name="payroll-csv"),
    path("payroll/warnings/", api.Warned.as_view(), name="payroll-warnings"),
    path("payroll/settings/", api.Settings.as_view(), name="payroll-settings"),
    path("payroll/ledger/", api.Ledger.as_view(), name="payroll-ledger"),
    path("payroll/ledger.csv", api.LedgerFile.as_view(), name="payroll-ledger-csv"),
    path("payroll/requests/", api.Requests.as_view(), name="payroll-requests"),
    path("payroll/requests/<uuid:request_id>/", api.OneRequest.as_view(), name="payroll-request"),
    path(ONE, api.Person.as_view(), name="payroll-person"),
    path(f"{ONE}rates/", api.Rates.as_view(), name="payroll-rates"),
    path(f"{ONE}rates/<int:rate_id>/", api.OneRate.as_view(), name="payroll-rate"),
    path(f"{ONE}corrections/", api.Corrections.as_view(), name="payroll-correct"),
    path(f"{ONE}payments/", api.Payments.as_view(), name="payroll-payment"),
]
