"""The page “Where does it belong?”: questions, and what this house would do."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.http import require_safe

from notifications.pipeline.advice import QUESTIONS, Answers, advise, markdown
from notifications.pipeline.steps import steps_by_way


@require_safe
def advise_page(request: HttpRequest) -> HttpResponse:
    """For all staff: it knows the shop's code and nothing of its customers. The answers are in the address."""
    yes = QUESTIONS.keys() & set(request.GET.getlist("yes"))
    given, steps = advise(Answers.of(yes)), steps_by_way()
    words = markdown(given, [str(step) for step in steps[given.way]])
    if "markdown" in request.GET:
        return HttpResponse(words, content_type="text/markdown; charset=utf-8")
    context = {
        **admin.site.each_context(request),
        "title": "Where does it belong?",
        "questions": [(name, question, name in yes) for name, question in QUESTIONS.items()],
        "asked": "asked" in request.GET,
        "advice": given,
        "markdown": words,
        "steps": steps,
    }
    return TemplateResponse(request, "notifications/admin/advise.html", context)
