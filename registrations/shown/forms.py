"""What is filled in on pages about registrations."""

from django import forms

from registrations.models import WallboardToken


class WallboardTokenForm(forms.ModelForm):  # type: ignore[type-arg]
    """A screen: where it hangs, and what it may show."""

    class Meta:
        model = WallboardToken
        fields = ("name", "groups", "sites")
        widgets = {
            "groups": forms.CheckboxSelectMultiple,
            "sites": forms.CheckboxSelectMultiple,
        }
        error_messages = {"name": {"unique": "There is a screen of that name already."}}
