"""An LMS's Django as far as sessions go: reads one command per line, as a JSON list,
and answers each with one line of JSON.

    python3 lms.py HOST PORT DATABASE USER PASSWORD SECRET_KEY
"""

import json
import sys

import django
from django.conf import settings

host, port, name, user, password, secret = sys.argv[1:]
settings.configure(
    SECRET_KEY=secret,
    USE_TZ=True,
    AUTH_USER_MODEL="accounts.User",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "accounts"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": host, "PORT": port, "NAME": name, "USER": user, "PASSWORD": password,
        }
    },
)
django.setup()

from django.contrib import auth  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.http import HttpRequest  # noqa: E402

User = auth.get_user_model()


def request(key=None):
    r = HttpRequest()
    r.session = SessionStore(key)
    r.user = auth.get_user(r) if key else None
    return r


def login(user_id, padding=0, backend="django.contrib.auth.backends.ModelBackend"):
    r = request()
    auth.login(r, User.objects.get(pk=user_id), backend)
    if padding:
        r.session["padding"] = "x" * padding
    r.session.save()
    return r.session.session_key


def visit(padding):
    """A visitor who is not signed in."""
    r = request()
    r.session["padding"] = "x" * padding
    r.session.save()
    return r.session.session_key


def logout(key):
    auth.logout(request(key))


def expire(key, seconds):
    r = request(key)
    r.session.set_expiry(seconds)
    r.session.save()


def set_password(user_id, password, key=None):
    r = request(key)
    u = User.objects.get(pk=user_id)
    u.set_password(password)
    u.save()
    if key:  # the person did it, and stays signed in under a new key
        auth.update_session_auth_hash(r, u)
        r.session.save()
        return r.session.session_key


def who(key):
    """What Django itself thinks of a session."""
    u = auth.get_user(request(key))
    return str(u.pk) if u.is_authenticated else None


def version():
    return django.get_version()


for line in sys.stdin:
    command, *arguments = json.loads(line)
    print(json.dumps(globals()[command](*arguments)), flush=True)
