from django.urls import path

from labeling.campaigns import api, views

urlpatterns = [
    path("campaigns/", views.campaign_list, name="campaigns"),
    path("campaigns/new/", views.campaign_new, name="campaign-new"),
    path("campaigns/<uuid:campaign_id>/", views.campaign_detail, name="campaign"),
]

api_urlpatterns = [
    path("campaigns/", api.Campaigns.as_view(), name="campaigns"),
    path("campaigns/<str:reference>/", api.OneCampaign.as_view(), name="campaign"),
]
