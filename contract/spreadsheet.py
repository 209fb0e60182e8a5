"""Texts of strangers in files that a spreadsheet opens."""


def safe_cell(value: object) -> object:
    """A cell that no spreadsheet runs as a formula.

    Args:
        value: of any kind.

    Returns:
        A text that begins as a formula does (`=`, `+`, `-`, `@`, tab, return) behind an apostrophe, as OWASP advises;
        everything else as it is.
    """
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
