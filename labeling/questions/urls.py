from django.urls import path

from labeling.questions import api, views

urlpatterns = [
    path("work/<str:lease_id>/question/", views.ask, name="task-question"),
    path("questions/", views.questions, name="questions"),
    path("questions/inbox/", views.inbox, name="question-inbox"),
    path("questions/<uuid:question_id>/", views.question, name="question"),
    path("questions/<uuid:question_id>/reply/", views.reply, name="question-reply"),
    path("questions/<uuid:question_id>/share/", views.share, name="question-share"),
    path("questions/<uuid:question_id>/unshare/", views.unshare, name="question-unshare"),
]
api_urlpatterns = [
    path("tasks/<str:lease_id>/question/", api.AskAboutTask.as_view(), name="task-question"),
    path("questions/<uuid:question_id>/", api.OneQuestion.as_view(), name="question"),
]
