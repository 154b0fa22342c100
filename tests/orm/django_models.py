"""The library's tables as Django models; import it after ``configure``."""

from django.db import models  # type: ignore[import-untyped]  # Django has no types


class Author(models.Model):  # type: ignore[misc]  # Django has no types
    """A row of a list."""

    name = models.TextField()

    class Meta:
        """The table that is there."""

        app_label = "library"
        db_table = "author"
        managed = False


class Book(models.Model):  # type: ignore[misc]  # Django has no types
    """A row that belongs to it."""

    author = models.ForeignKey(Author, models.CASCADE)
    title = models.TextField()

    class Meta:
        """The table that is there."""

        app_label = "library"
        db_table = "book"
        managed = False
