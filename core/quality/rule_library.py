"""Format rules that are ready to use."""

from core.quality.rules import Rule

READY: tuple[Rule, ...] = (
    Rule("empty_response", "The response is not empty", "not_empty", {"column": "response"}, origin="ready"),
    Rule("empty_turns", "No turn is empty", "empty_turns", origin="ready"),
    Rule("turn_order", "User and assistant take turns, and the assistant speaks last", "turn_order", origin="ready"),
    Rule(
        "stray_space",
        "No white space before or after prompt and response",
        "stray_space",
        severity="warning",
        origin="ready",
    ),
    Rule("complete", "The response is not cut off", "complete", origin="ready"),
    Rule(
        "template_tokens",
        "No tokens of a chat template in the text",
        "forbids",
        {
            "pattern": r"<\|(?:im_start|im_end|endoftext|eot_id|start_header_id|end_header_id|user|assistant|system)\|>"
            r"|\[/?INST\]|<</?SYS>>"
            r"|(?m)^### (?:Instruction|Response|Input):|^(?:Human|Assistant|User): ",
            "message": "the response holds a token of a chat template",
        },
        origin="ready",
    ),
    Rule(
        "placeholders",
        "No placeholders left in",
        "forbids",
        {
            "pattern": r"(?i)\{\{[^{}]{1,40}\}\}|\[(?:insert|your|name|date|patient name|todo|tbd|placeholder|x{2,})\b[^\]\n]{0,40}\]"
            r"|\blorem ipsum\b|\bTODO\b|\bTBD\b|<(?:insert|placeholder)[^>\n]{0,40}>",
            "message": "the response holds a placeholder",
        },
        origin="ready",
    ),
    Rule(
        "broken_characters",
        "No characters broken by a wrong encoding",
        "forbids",
        {
            "pattern": r"\x{FFFD}|Ã[\x{80}-\x{BF}©¨¼¶¤±]|â€[™œ\x{9d}“”˜¦]|Â[°·±]|[\x{00}-\x{08}\x{0B}\x{0E}-\x{1F}]",
            "message": "the response holds broken or control characters",
        },
        origin="ready",
    ),
    Rule(
        "model_talk",
        "The response does not speak of itself as a model",
        "forbids",
        {
            "pattern": r"(?i)\bas an? (?:AI|artificial intelligence|large language model|language model)\b"
            r"|\bI(?: a|')m (?:just )?an? AI\b"
            r"|\bmy (?:knowledge|training) cut-?off\b",
            "message": "the response speaks of itself as a model",
        },
        severity="warning",
        origin="ready",
    ),
    Rule("category_casing", "Categories are written one way", "label_casing", {"column": "category"}, origin="ready"),
    Rule(
        "language",
        "The response is in its declared language",
        "language",
        {"column": "response"},
        "all",
        "warning",
        "ready",
    ),
)
"""Rules for any set. The first match wins the eye of the reader, so what breaks training comes first."""

SAFETY = (
    r"(?i)\b(?:911|999|112|988)\b|\b(?:call|dial|ring|phone) (?:000|111|emergency|for help|us|your|the (?:ward|team|surgery|clinic))"
    r"|\bambulance\b|[a-z,] emergency\b|\bcasualty\b|\bA&E\b|same[- ]day|straight in\b|crisis (?:line|team|service|number|plan)"
    r"|poisons? (?:line|control|centre|center|information)|seek (?:urgent |immediate |medical )*(?:care|help|advice|attention)"
    r"|(?:consult|contact|speak (?:to|with)|talk to|see|ask|tell|phone) (?:a|an|your|the) (?:\w+ ){0,2}(?:doctor|clinician|physician"
    r"|GP|pharmacist|provider|nurse|midwife|specialist|professional|dentist|team|psychiatrist)"
    r"|return (?:precautions|immediately|at once|if)|safety.?net|red flags?|(?:go to|come back|straight) (?:the |to )*hospital"
    r"|not (?:a substitute for|medical advice)"
)
"""Language that sends the reader to help in time (English). A label "Urgency: Emergency" alone is none."""

SHELF: tuple[Rule, ...] = (
    Rule("safety", "The response says when to seek help", "matches",
         {"pattern": SAFETY, "message": "nothing says when or where to seek help"}),
    Rule("disclaimer", "The response says what it is no substitute for", "matches",
         {"pattern": r"(?i)not (?:a )?(?:substitute|replacement) for|not (?:medical|professional|legal|financial) advice",
          "message": "there is no such sentence"}),
    Rule("no_dose", "The response gives no dose", "forbids",
         {"pattern": r"(?i)\b\d+(?:[.,]\d+)?\s*(?:mg|mcg|µg|μg|g|ml|units?|iu)\b(?:\s*/\s*kg)?", "message": "a dose is given"}),
    Rule("reasons", "There is reasoning, and it says something", "reasoning", {"least": 20, "words": 8, "repeats": 5}),
    Rule("json_object", "The response is a JSON object", "json_schema", {"schema": {"type": "object", "minProperties": 1}}),
    Rule("icd10", "The response is JSON with an ICD-10 code", "json_schema",
         {"schema": {"type": "object", "required": ["code"], "properties": {"code": {
             "type": "string", "pattern": "^[A-Z][0-9][0-9A-Z](?:\\.[0-9A-Z]{1,4})?$"}}}}),
    Rule("dashes", "Lists open with “-” and “1.”", "list_style", {"bullet": "-", "number": "."}, severity="warning"),
    Rule("hashes", "Headings are written “## Heading”", "heading_style", {"style": "#"}, severity="warning"),
    Rule("no_headings", "The response has no headings", "heading_style", {"style": "none"}, severity="warning"),
    Rule("plain", "No Markdown", "forbids",
         {"pattern": r"(?m)^#{1,6} |\*\*[^*\n]+\*\*|^```|^\|.+\|$", "message": "there is Markdown"}, severity="warning"),
    Rule("no_links", "No web addresses", "forbids", {"pattern": r"(?i)\bhttps?://|\bwww\.", "message": "there is a web address"}),
    Rule("no_identifiers", "No e-mail addresses or telephone numbers", "forbids",
         {"pattern": r"(?i)\b[\w.+-]+@[\w-]+\.[a-z]{2,}\b|(?:\+\d{1,3}[ -]?)?\(?\d{3}\)?[ -]\d{3}[ -]\d{4}\b",
          "message": "there is an e-mail address or a telephone number"}),
    Rule("short", "The response has at most 2,000 characters", "length", {"high": 2000}, severity="warning"),
    Rule("prompt_language", "The prompt is in its declared language", "language", {"column": "prompt"}, severity="warning"),
)  # fmt: skip
"""Rules to take in where they fit; each is for some tasks, so none is in force unasked."""
