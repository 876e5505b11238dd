"""The pages of an account, beside those that django-allauth has."""
