"""`audit`: who did what, and who was refused; `audit verify` and `audit sign` on the folder itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from modelyard.cli import screen
from modelyard.cli.connection import AsJson, Cursor, Storage, Url, open_yard, settings_with

if TYPE_CHECKING:
    from modelyard.access.verification import Verified
    from modelyard.schemas import AuditEntry, AuditPage, AuditQuery
    from modelyard.verbs import Verbs

_WRONG = 1
"""The exit code of `audit verify` if anything is wrong."""

_MOST_FLAWS_SHOWN = 20


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    audit = typer.Typer()
    audit.callback(invoke_without_command=True)(list_audit)
    audit.command()(verify)
    audit.command()(sign)
    app.add_typer(audit, name="audit", rich_help_panel="Access")


def list_audit(
    context: typer.Context,
    *,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="WHEN", help="From then on: 2026-11-26 or 2026-11-26T08:30, in UTC."),
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="NAME", help="Of this key, or of local:USER.", show_default=False)
    ] = None,
    verb: Annotated[
        str | None, typer.Option("--verb", metavar="VERB", help="Of this verb, as in delete.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", help="At most so many (1 to 1000).")] = 50,
    cursor: Cursor = None,
    url: Url = None,
    storage: Storage = None,
    json: AsJson = False,
) -> None:
    """Say who did what and who was refused, newest first; verify that nothing was removed or changed.

    Example: modelyard audit --verb delete --since 2026-11-01
    """
    if context.invoked_subcommand is not None:
        return
    from modelyard.schemas import AuditQuery, parse

    query = parse(AuditQuery, {"since": since, "key": key, "verb": verb, "limit": limit, "cursor": cursor})
    with open_yard(url, storage) as yard:
        page = _filled(yard, query)
    if json:
        screen.show_json(page.model_dump_json().encode())
        return
    if not page.entries:
        screen.show("No entries.")
        return
    made = screen.table("when", "key", "verb", "what", "ended", "times", "from", right=["times"], whole=["when"])
    for entry in page.entries:
        ended = screen.text(entry.code, "" if entry.code == "OK" else "red")
        when, origin = f"{entry.at:%Y-%m-%d %H:%M:%S}", f"{entry.door} {entry.address}".strip()
        screen.add_row(made, when, entry.key, entry.verb, _what(entry), ended, entry.count, origin)
    screen.show(made)
    if page.next_cursor is not None:
        screen.show(f"There are more: --cursor {page.next_cursor}")


def verify(storage: Storage = None, json: AsJson = False) -> None:
    """Check that no entry was removed or changed. If one was, name the first and exit with code 1.

    With MODELYARD_SIGNING_KEY_FILE it finds what anybody without the key has changed; without that setting, accidents
    only.
    """
    from modelyard.bootstrap import open_audit

    settings = settings_with(storage_dir=storage)
    with screen.busy("Reading every entry", as_json=json), open_audit(settings) as audit:
        found = audit.verify()
        is_signed = audit.signs
    if json:
        _show_json(found)
    else:
        _show(found, is_signed=is_signed)
    if found.flaws:
        raise typer.Exit(_WRONG)


def sign(storage: Storage = None, json: AsJson = False) -> None:
    """Sign for all entries that were written without a key, after you have looked at them."""
    from modelyard.bootstrap import open_audit
    from modelyard.errors import FailedPrecondition

    with open_audit(settings_with(storage_dir=storage)) as audit:
        if not audit.signs:
            raise FailedPrecondition("there is no key to sign by: set MODELYARD_SIGNING_KEY_FILE")
        audit.accept_unsigned()
        found = audit.verify()
    if json:
        _show_json(found)
    else:
        _show(found, is_signed=True)


def _filled(yard: Verbs, query: AuditQuery) -> AuditPage:
    """Ask for pages until there are as many entries as were wanted: a page of a rare verb may be short."""
    page = yard.list_audit(query)
    entries = page.entries
    while len(entries) < query.limit and page.next_cursor is not None:
        page = yard.list_audit(
            query.model_copy(update={"cursor": page.next_cursor, "limit": query.limit - len(entries)})
        )
        entries = [*entries, *page.entries]
    return page.model_copy(update={"entries": entries})


def _what(entry: AuditEntry) -> str:
    """Return what was changed, without the id of a model that is named."""
    return ", ".join(value for name, value in entry.what.items() if name != "model_id" or "model" not in entry.what)


def _show(found: Verified, *, is_signed: bool) -> None:
    for flaw in found.flaws[:_MOST_FLAWS_SHOWN]:
        screen.show(screen.text(str(flaw), "bold red"))
    if len(found.flaws) > _MOST_FLAWS_SHOWN:
        screen.show(f"and {len(found.flaws) - _MOST_FLAWS_SHOWN:,} more")
    for flaw in found.noted:
        screen.show(f"{flaw} (a repair has written that down)")
    if not found.entries:
        screen.show("The audit has no entries yet.")
        return
    entries = f"{found.entries:,} entr{'y' if found.entries == 1 else 'ies'}"
    kept = f"{entries}, from {found.first} to {found.end.number}, whose hash is {found.end.hash}"
    if found.flaws:
        screen.show(kept)
    else:
        proof = "every signature holds" if is_signed else "no accident has changed one; without a key no more is known"
        screen.show(f"{kept}: {proof}.")


def _show_json(found: Verified) -> None:
    import orjson

    document = {
        "sound": not found.flaws,
        "entries": found.entries,
        "first": found.first,
        "last": found.end.number,
        "hash": found.end.hash,
        "signed": found.signed,
        "flaws": found.flaws,
        "noted": found.noted,
    }
    screen.show_json(orjson.dumps(document))
