"""Who is told of incidents, by what way, and when not: rules, channels, maintenance, messages."""

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.db import models, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fleet.guarded_forms import Guarded, locked
from fleet.inventory import InUse
from fleet.roles import Role, require_role
from fleet.zones import names
from registrations import queries
from registrations.alerts import composing, queue, removing, telling
from registrations.models import AlertRule, Channel, Delivery, MaintenanceWindow
from registrations.shown import alerts as shown
from registrations.shown import pages
from registrations.shown.alert_forms import MaintenanceForm, RuleForm
from registrations.shown.channel_forms import CHANNEL_FORMS
from registrations.views.group_edit import REFUSED

TRIED = timedelta(days=30)
require_form = require_http_methods(["GET", "HEAD", "POST"])
configurer = require_role(Role.CONFIGURER)


@require_safe
@configurer
def alerts(request: HttpRequest) -> HttpResponse:
    """Rules, channels and maintenance on one page."""
    context = {
        "nav": "incidents",
        "rules": shown.rules(),
        "channels": Channel.objects.annotate(n=models.Count("rules")).order_by("name"),
        "windows": shown.windows(timezone.now()),
        "kinds": [(kind, Channel.Kind(kind).label) for kind in CHANNEL_FORMS],
    }
    return render(request, "alerts.html", context)


@require_form
@configurer
def rule_new(request: HttpRequest) -> HttpResponse:
    """A rule more; nobody is told of anything before there is one."""
    return _rule(request, AlertRule())


@require_form
@configurer
def rule_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """What a rule tells; `try` shows what it would have told, and keeps nothing."""
    return _rule(request, get_object_or_404(AlertRule, pk=pk))


def _rule(request: HttpRequest, rule: AlertRule) -> HttpResponse:
    form = _form(request, RuleForm, rule)
    more: dict[str, Any] = {"zones": names()}
    if form.is_bound and form.is_valid():
        if "try" not in request.POST:
            return _kept(request, form, "Rule")
        now = timezone.now()
        judged = telling.rule_from(form.cleaned_data)
        more["tried"] = shown.tried(telling.would_have_told(judged, now - TRIED, now))
    return _page(request, "alert_rule.html", form, **more)


@require_form
@configurer
def channel_new(request: HttpRequest, kind: str) -> HttpResponse:
    """A way more to tell somebody."""
    return _channel(request, Channel(kind=kind))


@require_form
@configurer
def channel_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """To whom a channel goes; its secrets go in and never come out."""
    return _channel(request, get_object_or_404(Channel, pk=pk))


def _channel(request: HttpRequest, channel: Channel) -> HttpResponse:
    if channel.kind not in CHANNEL_FORMS:
        raise Http404
    form = _form(request, CHANNEL_FORMS[channel.kind], channel)
    if form.is_bound and form.is_valid():
        if form.new_secret:
            said = f"Its secret is {form.new_secret}. Copy it now: it is shown this once."
            messages.warning(request, said)
        return _kept(request, form, "Channel")
    log = queries.deliveries().filter(channel=channel.pk)[:10] if channel.pk else []
    alone, beside = removing.rules_of(channel) if channel.pk else ([], [])
    more = {"log": log, "refusal": removing.refusal(channel, alone), "beside": beside}
    return _page(request, "alert_channel.html", form, **more)


@require_POST
@configurer
def channel_test(request: HttpRequest, pk: int) -> HttpResponse:
    """Send a test to everybody of a channel; the log says what came of it."""
    channel = get_object_or_404(Channel, pk=pk)
    message = composing.test_message(channel, request.user.get_username())
    n = queue.enqueue(message, channel, timezone.now(), what=Delivery.What.TEST)
    people = "1 recipient" if n == 1 else f"{n} recipients"
    messages.success(request, f"A test is on its way to {people}; the log below says what came.")
    return redirect("channel_edit", pk)


@require_form
@configurer
def maintenance_new(request: HttpRequest) -> HttpResponse:
    """A time more in which trouble is expected somewhere."""
    return _maintenance(request, MaintenanceWindow(time_zone=pages.common_zone(pages.zones())))


@require_form
@configurer
def maintenance_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """When trouble is expected, and where."""
    return _maintenance(request, get_object_or_404(MaintenanceWindow, pk=pk))


def _maintenance(request: HttpRequest, window: MaintenanceWindow) -> HttpResponse:
    form = _form(request, MaintenanceForm, window)
    if form.is_bound and form.is_valid():
        return _kept(request, form, "Maintenance")
    return _page(request, "alert_maintenance.html", form, zones=names())


@require_POST
@configurer
def alert_delete(request: HttpRequest, what: str, pk: int) -> HttpResponse:
    """Delete a rule, a channel or a maintenance; the log of messages keeps its name."""
    if what not in shown.DELETABLE:
        raise Http404
    thing = get_object_or_404(shown.DELETABLE[what], pk=pk)
    try:
        if isinstance(thing, Channel):
            removing.remove(thing, timezone.now())
        else:
            thing.delete()
    except InUse as used:
        messages.error(request, str(used))
        return redirect("channel_edit", pk)
    messages.success(request, f"{thing} is deleted.")
    return redirect("alerts")


@require_safe
@configurer
def deliveries(request: HttpRequest) -> HttpResponse:
    """Every message: waiting, sent or given up, and what the other side said."""
    filtered = queries.DeliveryFilter(request.GET, queries.deliveries())
    valid = filtered.is_valid()
    options = {"state": dict(Delivery.State.choices), "what": dict(Delivery.What.choices)}
    more: dict[str, dict[str, str]] = {"channel": {}, "incident": {}, "rule": {}}
    more["channel"] = {str(pk): name for pk, name in Channel.objects.values_list("pk", "name")}
    context = {
        "nav": "incidents",
        "page": pages.page_of(filtered.qs if valid else Delivery.objects.none(), request.GET),
        "sizes": pages.PAGE_SIZES,
        "chips": pages.chips(request.GET, options | more),
        "options": options,
        "chosen": {field: request.GET.getlist(field) for field in options},
        "faults": [] if valid else filtered.errors.values(),
    }
    return render(request, "deliveries.html", context)


@require_POST
@configurer
def delivery_again(request: HttpRequest, pk: int) -> HttpResponse:
    """Try a message again at once."""
    get_object_or_404(Delivery, pk=pk)
    if queue.try_again([pk], timezone.now()):
        messages.success(request, "It is tried again now.")
    return redirect("deliveries")


def _form(request: HttpRequest, kind: type[Guarded], thing: Any) -> Any:
    """Return the form of `thing`, kept where it was sent to be and has no errors.

    The row is locked meanwhile, so that nobody comes in between the look and the change.
    """
    if not request.POST:
        return kind(instance=thing)
    if "try" in request.POST:
        return kind(request.POST, instance=thing)
    with transaction.atomic():
        form = kind(request.POST, instance=locked(thing))
        if form.is_valid():
            form.instance.made_by = form.instance.made_by or request.user.get_username()
            form.save()
    return form


def _kept(request: HttpRequest, form: Any, word: str) -> HttpResponse:
    messages.success(request, f"{word} {form.instance} is kept.")
    return redirect("alerts")


def _page(request: HttpRequest, template: str, form: Any, **more: Any) -> HttpResponse:
    context = {"nav": "incidents", "form": form, "thing": form.instance, **more}
    return render(request, template, context, status=REFUSED if form.errors else 200)
