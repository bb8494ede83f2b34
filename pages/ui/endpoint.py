"""The fields of an OpenAI-compatible endpoint in a form: where it is, its model, where its key lies, what it costs."""

from collections.abc import Callable
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.ui import state

PLACES = "Ollama answers at `http://localhost:11434/v1`, vLLM at `http://localhost:8000/v1`, llama.cpp at `http://localhost:8080/v1`."


def place(params: dict[str, Any], key: str) -> dict[str, str]:
    """{url, model, key_variable} as they are filled in."""
    first, second, third = st.columns([2.4, 1.6, 1.6])
    url = first.text_input(
        "Address", params["url"], key=f"{key}_url", placeholder="http://localhost:11434/v1", help=PLACES
    )
    model = second.text_input("Model", params["model"], key=f"{key}_model", placeholder="llama3.1:8b")
    variable = third.text_input(
        "Key: name of its environment variable", params["key_variable"], key=f"{key}_key",
        placeholder="empty for a local server",
        help="The key itself is read from the environment when asking; it is never stored or shown.",
    )  # fmt: skip
    return {"url": url.strip(), "model": model.strip(), "key_variable": variable.strip()}


def prices(read: DeltaGenerator, written: DeltaGenerator, key: str) -> dict[str, float]:
    """What a million tokens cost, in two columns; to be handed to `remember` when the form is sent."""
    return {
        "in": read.number_input(
            "Price of a million tokens read", 0.0, None, known("in"), key=f"{key}_in",
            help="In any currency, from your provider's list; 0 for a local server.",
        ),
        "out": written.number_input("… written", 0.0, None, known("out"), key=f"{key}_out"),
    }  # fmt: skip


def known(which: str) -> float:
    """The price of a million tokens "in" or "out", as last filled in anywhere; 0 until then."""
    return state.remembered(f"endpoint.price_{which}", 0.0)


def remember(costs: dict[str, float]) -> None:
    """Prices hold wherever an endpoint is asked."""
    for which, price in costs.items():
        state.remember(f"endpoint.price_{which}", price)


def estimate(cost: Callable[[float, float], float]) -> str:
    """What is said of the cost, given prices of a million tokens read and written."""
    read, written = known("in"), known("out")
    spent = cost(read, written)
    shown = f"about {spent:,.2f}" if spent >= 0.01 or not spent else "less than 0.01"
    said = f"{shown.capitalize()} at your prices." if read or written else "No price was given, so no cost is counted."
    return f"{said} Tokens are estimated (a token for four letters), a third off at times; a model that thinks writes more."
