"""The published tables of papers A and B, and the claims of paper A, as commands."""

from glocal.papers.table import TABLES, PaperTable, TableContext, paper_table, tables

__all__ = ["TABLES", "PaperTable", "TableContext", "paper_table", "tables"]
