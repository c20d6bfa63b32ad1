"""Template filters that show numbers, dates and states."""

from django import template

register = template.Library()
