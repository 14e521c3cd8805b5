from django.urls import path

from labeling.api import lean
from labeling.leasing import api, views
from labeling.leasing.guide import guide

urlpatterns = [
    path("work/", views.work, name="work"),
    path("work/next/", views.take_next, name="work-next"),
    path("work/break/", views.break_begin, name="break-begin"),
    path("work/break/end/", views.break_end, name="break-end"),
    path("work/<str:lease_id>/", views.task, name="task"),
    path("work/<str:lease_id>/submit/", views.submit, name="task-submit"),
    path("work/<str:lease_id>/skip/", views.skip, name="task-skip"),
    path("work/<str:lease_id>/flag/", views.flag, name="task-flag"),
    path("work/<str:lease_id>/return/", views.give_back, name="task-return"),
    path("guide/", guide, name="guide"),
    path("answers/", views.answers, name="answers"),
    path("answers/<str:lease_id>/", views.answer, name="answer"),
    path("prompts/<uuid:prompt_id>/categories/", views.prompt_categories, name="prompt-categories"),
    path("people/<int:user_id>/pause/", views.person_pause, name="person-pause"),
    path("people/<int:user_id>/resume/", views.person_resume, name="person-resume"),
    path("batches/<int:batch_id>/close/", views.close_batch, name="batch-close"),
    path("batches/<int:batch_id>/reopen/", views.reopen_batch, name="batch-reopen"),
    path("batches/<int:batch_id>/repeat/", views.repeat_batch, name="batch-repeat"),
    path("batches/<int:batch_id>/probation/", views.batch_probation, name="batch-probation"),
    path("batches/<int:batch_id>/priority/", views.prioritise_batch, name="batch-priority"),
]
api_urlpatterns = [
    path("tasks/next/", lean(api.NextTask), name="task-next"),
    path("tasks/ahead/", lean(api.AheadTask), name="task-ahead"),
    path("tasks/<str:lease_id>/", api.OneTask.as_view(), name="task"),
    path("tasks/<str:lease_id>/submit/", lean(api.Submit), name="task-submit"),
    path("tasks/<str:lease_id>/skip/", api.Skip.as_view(), name="task-skip"),
    path("tasks/<str:lease_id>/heartbeat/", api.Heartbeat.as_view(), name="task-heartbeat"),
    path("tasks/<str:lease_id>/begin/", api.Begin.as_view(), name="task-begin"),
    path("tasks/<str:lease_id>/correct/", api.Correct.as_view(), name="task-correct"),
    path("tasks/<str:lease_id>/draft/", lean(api.Draft), name="task-draft"),
    path("tasks/<str:lease_id>/flag/", api.FlagPrompt.as_view(), name="task-flag"),
    path("tasks/<str:lease_id>/return/", api.GiveBack.as_view(), name="task-return"),
]
