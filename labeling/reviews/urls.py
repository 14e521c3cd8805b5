"""Reviews have no addresses of their own: they answer tasks, whose addresses are in leasing."""

from labeling.leasing.kinds import register
from labeling.reviews.views import KIND
from labeling.sampling.models import Batch

register(Batch.Kind.REVIEW, KIND)
