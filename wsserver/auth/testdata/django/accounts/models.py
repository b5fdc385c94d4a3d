from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models


class User(AbstractBaseUser):
    """The account of the school's LMS, as far as sessions need it."""

    id = models.BigAutoField(primary_key=True)
    password = models.CharField(max_length=128, null=True)
    email = models.CharField(max_length=254)
    is_active = models.BooleanField(default=True)

    USERNAME_FIELD = "email"

    class Meta:
        db_table = "accounts_user"
        managed = False
