from django.urls import path

from labeling.exports import api, views

urlpatterns = [
    path("datasets/", views.datasets, name="datasets"),
    path("datasets/new/", views.dataset_new, name="dataset-new"),
    path("datasets/<uuid:dataset_id>/", views.dataset, name="dataset"),
    path("datasets/<uuid:dataset_id>/files/<str:name>", views.dataset_file, name="dataset-file"),
]

api_urlpatterns = [
    path("exports/", api.Exports.as_view(), name="exports"),
    path("exports/<str:dataset_id>/", api.OneExport.as_view(), name="export"),
    path("exports/<str:dataset_id>/files/<str:name>", api.ExportFile.as_view(), name="export-file"),
]
