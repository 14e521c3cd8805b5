from django.urls import path

from labeling.sampling import api, views

urlpatterns = [
    path("endpoints/", views.endpoints, name="endpoints"),
    path("endpoints/<int:endpoint_id>/", views.endpoint, name="endpoint"),
    path("endpoints/<int:endpoint_id>/check/", views.endpoint_check, name="endpoint-check"),
    path("endpoints/<int:endpoint_id>/switch/", views.endpoint_switch, name="endpoint-switch"),
    path("batches/", views.batches, name="batches"),
    path("batches/new/", views.batch_new, name="batch-new"),
    path("batches/new/written/", views.batch_new_prompts, name="batch-new-prompts"),
    path("batches/<int:batch_id>/", views.batch, name="batch"),
    path("batches/<int:batch_id>/sample/", views.batch_sample, name="batch-sample"),
    path("batches/<int:batch_id>/items/<int:item_id>/", views.batch_item, name="batch-item"),
]

api_urlpatterns = [
    path("endpoints/", api.Endpoints.as_view(), name="endpoints"),
    path("endpoints/<str:endpoint_id>/", api.OneEndpoint.as_view(), name="endpoint"),
    path("endpoints/<str:endpoint_id>/check/", api.CheckEndpoint.as_view(), name="endpoint-check"),
    path("batches/", api.Batches.as_view(), name="batches"),
    path("batches/<str:batch_id>/", api.OneBatch.as_view(), name="batch"),
    path("batches/<str:batch_id>/sample/", api.SampleBatch.as_view(), name="batch-sample"),
]
