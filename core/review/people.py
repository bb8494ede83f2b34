"""Who reads: named people with a role, a specialty and a credential. Append-only; the newest row of a name is in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import InputError, MissingInput
from core.review.schema import Store, now, reading, tables, writing

ROLES: Mapping[str, str] = {
    "annotator": "Annotator: reads the whole sample",
    "second": "Second reader: reads the double-review share, blind",
    "advisor": "Clinical advisor: decides where readers differ",
}
"""What each role does; the key is stored."""
LENGTHS = {"name": 80, "specialty": 120, "credential": 120, "email": 254}


@dataclass(frozen=True)
class Person:
    """One person as they stand now."""

    name: str
    role: str = "annotator"
    specialty: str = ""
    credential: str = ""
    email: str = ""
    """Of their sign-in, in small letters; empty where nobody signs in."""
    active: bool = True
    created_at: str = ""
    created_by: str = ""

    @property
    def title(self) -> str:
        """ "Ada Meyer, MD, cardiology (annotator)"."""
        told = ", ".join(one for one in (self.name, self.credential, self.specialty) if one)
        return f"{told} ({self.role})"


def people(store: Store, gone: bool = False) -> dict[str, Person]:
    """{name: person} in order of name; those who left too when asked for."""
    from sqlalchemy import select

    c = tables().people.c
    query = select(*(c[name] for name in Person.__dataclass_fields__)).order_by(c.entry)
    with reading(store) as connection:
        found = {row["name"]: Person(**row) for row in connection.execute(query).mappings()}
    kept = sorted(found, key=str.casefold)
    return {name: found[name] for name in kept if gone or found[name].active}


def person(store: Store, name: str) -> Person:
    """This person; somebody who was never entered is an annotator about whom nothing is known."""
    return people(store).get(name) or Person(name)


def keep_person(store: Store, given: Person, by: str) -> Person:
    """The person as stored from now on; everything said of them before stays in the table.

    InputError: the name is empty or too long, the role is unknown, or another active person has the e-mail address.
    """
    from sqlalchemy import insert

    values = {name: " ".join(str(getattr(given, name)).split()) for name in LENGTHS}
    values["email"] = values["email"].casefold()
    for name, most in LENGTHS.items():
        if len(values[name]) > most or "\x00" in values[name]:
            raise InputError(f"The {name} has over {most} characters or one that cannot be kept. Shorten it.")
    if not values["name"]:
        raise InputError("A person needs a name of 1 to 80 characters.")
    if given.role not in ROLES:
        raise InputError(f"There is no role {given.role!r}. Choose {', '.join(ROLES)}.")
    if values["email"] and "@" not in values["email"]:
        raise InputError(
            f"{values['email']!r} is no e-mail address. Give the one that they sign in with, or leave it empty."
        )
    other = by_email(store, values["email"])
    if given.active and other and other.name != values["name"]:
        raise InputError(f"{values['email']} belongs to {other.name}. One address signs in one person.")
    kept = Person(**values, role=given.role, active=given.active, created_at=now(), created_by=by)
    with writing(store) as connection:
        row = {name: getattr(kept, name) for name in Person.__dataclass_fields__}
        connection.execute(insert(tables().people).values(**row))
    return kept


def remove_person(store: Store, name: str, by: str) -> None:
    """Takes somebody off the list; their verdicts stay as they are. MissingInput when nobody has this name."""
    found = people(store).get(name)
    if found is None:
        raise MissingInput(f"Nobody here is called {name!r}. `people` lists everybody.")
    keep_person(store, Person(found.name, found.role, found.specialty, found.credential, found.email, active=False), by)


def by_email(store: Store, email: str) -> Person | None:
    """The active person who signs in with this address."""
    wanted = email.strip().casefold()
    return next((one for one in people(store).values() if wanted and one.email == wanted), None)
