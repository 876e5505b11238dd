"""`manage.py bench`: what our promises cost, each as a ratio measured in one run on one machine."""
