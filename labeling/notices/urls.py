from django.urls import path

from labeling.notices import api, views

urlpatterns = [
    path("messages/", views.own, name="messages"),
    path("messages/<int:notice_id>/read/", views.read, name="message-read"),
    path("sent-messages/", views.sent, name="messages-sent"),
    path("sent-messages/new/", views.new, name="message-new"),
    path("sent-messages/<int:notice_id>/", views.one_sent, name="message-sent"),
    path("sent-messages/<int:notice_id>/readers.csv", views.receipts_csv, name="message-readers-csv"),
]
api_urlpatterns = [
    path("messages/", api.Messages.as_view(), name="messages"),
    path("messages/<int:notice_id>/read/", api.ReadMessage.as_view(), name="message-read"),
    path("messages/sent/", api.SentMessages.as_view(), name="messages-sent"),
    path("messages/sent/<int:notice_id>/", api.SentMessage.as_view(), name="message-sent"),
    path("messages/sent/<int:notice_id>/readers/", api.Readers.as_view(), name="message-readers"),
]
