"""Demonstrations have no addresses of their own: they answer tasks, whose addresses are in leasing."""

from labeling.demos.views import KIND
from labeling.leasing.kinds import register
from labeling.sampling.models import Batch

register(Batch.Kind.DEMONSTRATION, KIND)
