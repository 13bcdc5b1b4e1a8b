"""What people look at: tables and figures as files, and the page that holds them."""

from firstlight.report.outputs import write_figures, write_tables
from firstlight.report.page import write_page
from firstlight.report.terminal import bars, claims_table

__all__ = ["bars", "claims_table", "write_figures", "write_page", "write_tables"]
