from labeling.leasing import apart
from labeling.people.models import User
from labeling.screening import queries

apart.register(User.Group.APPLICANT, queries.tasks_of)

urlpatterns = []
