from django.urls import path

from labeling.people import views

urlpatterns = [
    path("sign-in/", views.SignIn.as_view(), name="sign-in"),
    path("sign-out/", views.SignOut.as_view(), name="sign-out"),
    path("language/", views.language, name="language"),
    path("account/", views.account, name="account"),
    path("account/password/", views.ChangePassword.as_view(), name="password-change"),
    path("account/tokens/", views.token_new, name="token-new"),
    path("account/tokens/<uuid:token_id>/revoke/", views.token_revoke, name="token-revoke"),
    path("account/opt-out/", views.opt_out, name="opt-out"),
    path("account/keys/", views.keys, name="keys"),
    path("settings/", views.team_settings, name="settings"),
    path("people/<int:user_id>/quota/", views.person_quota, name="person-quota"),
    path("people/invitations/", views.invitations, name="invitations"),
    path("people/invitations/<int:invitation_id>/revoke/", views.invitation_revoke, name="invitation-revoke"),
    path("join/<str:token>/", views.invitation_accept, name="invitation-accept"),
]
