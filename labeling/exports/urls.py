from django.urls import path

from labeling.exports import api, views

urlpatterns = [
    path("datasets/", views.datasets, name="datasets"),
    path("datasets/new/", views.dataset_new, name="dataset-new"),
    path("datasets/<uuid:dataset_id>/", views.dataset, name="dataset"),
    path("datasets/<uuid:dataset_id>/rows/", views.dataset_rows, name="dataset-rows"),
    path("datasets/<uuid:dataset_id>/compare/", views.dataset_compare, name="dataset-compare"),
    path("datasets/<uuid:dataset_id>/rebuild/", views.dataset_rebuild, name="dataset-rebuild"),
    path("datasets/<uuid:dataset_id>/files/<str:name>", views.dataset_file, name="dataset-file"),
]

api_urlpatterns = [
    path("exports/", api.Exports.as_view(), name="exports"),
    path("exports/<str:dataset_id>/", api.OneExport.as_view(), name="export"),
    path("exports/<str:dataset_id>/verify/", api.ExportVerify.as_view(), name="export-verify"),
    path("exports/<str:dataset_id>/rows/", api.ExportRows.as_view(), name="export-rows"),
    path("exports/<str:dataset_id>/compare/<str:other_id>/", api.ExportCompare.as_view(), name="export-compare"),
    path("exports/<str:dataset_id>/rebuild/", api.Rebuild.as_view(), name="export-rebuild"),
    path("exports/<str:dataset_id>/files/<str:name>", api.ExportFile.as_view(), name="export-file"),
]
