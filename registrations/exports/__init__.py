"""Exports: exactly what a filter shows, as CSV, XLSX or JSON Lines, whole, in constant memory."""

from registrations.exports.downloads import download, stream
from registrations.exports.export import KINDS, Export, Format, prepare
from registrations.exports.source import ExportRefused

__all__ = ["KINDS", "Export", "ExportRefused", "Format", "download", "prepare", "stream"]
