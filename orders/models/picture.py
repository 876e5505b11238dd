from django.db import models
from django.db.models import Q


class ProductPicture(models.Model):
    """A picture or a video of a product, one of those that staff have uploaded."""

    product = models.ForeignKey("orders.Product", on_delete=models.CASCADE, related_name="pictures")
    upload = models.ForeignKey("uploads.Upload", on_delete=models.PROTECT, related_name="+")
    alt = models.CharField(max_length=200, help_text="What is to be seen, for who cannot see it.")
    place = models.PositiveSmallIntegerField(default=0, help_text="Which comes first: the smaller number.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["product", "upload"], name="product_picture_once"),
            models.CheckConstraint(name="product_picture_has_words", condition=~Q(alt="")),
        ]

    def __str__(self) -> str:
        return self.alt
