"""A report as one file of HTML, to send, to open without a network and to print: no script, nothing loaded."""

from modelyard.dashboard.report_file.page import html_report as html_report
