"""Every URL of Kwise: pages by feature, the API under /api/v1/."""

from importlib import import_module
from importlib.util import find_spec

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView

FEATURES = (
    "audit",
    "background",
    "people",
    "guidelines",
    "forms",
    "surveys",
    "notices",
    "intake",
    "governance",
    "use_cases",
    "sampling",
    # Before leasing, whose addresses begin alike.
    "questions",
    "adjudication",
    "leasing",
    "rankings",
    "demos",
    "practice",
    "reviews",
    "blindness",
    "agreement",
    "quality",
    "onboarding",
    "pay",
    "label_errors",
    "screening",
    "checks",
    "exports",
    "pipeline",
    "campaigns",
    "erasure",
    "team",
    "overview",
)


def gather(name: str) -> list:
    """The list called `name` of each feature's urls.py that has one."""
    found = []
    for feature in FEATURES:
        if find_spec(f"labeling.{feature}.urls"):
            found += getattr(import_module(f"labeling.{feature}.urls"), name, [])
    return found


urlpatterns = [
    path(
        "api/v1/",
        include(([*gather("api_urlpatterns"), path("schema/", SpectacularAPIView.as_view(), name="schema")], "api")),
    ),
    *gather("urlpatterns"),
]
if find_spec("config.health"):
    health = import_module("config.health")
    urlpatterns += [path("healthz", health.healthz), path("readyz", health.readyz)]
