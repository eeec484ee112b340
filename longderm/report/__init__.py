"""What people read: one self-contained page per patient and the worklist."""

from longderm.report.pages import write_reports
from longderm.report.views import ReportContext, ReportPaths

__all__ = ["ReportContext", "ReportPaths", "write_reports"]
